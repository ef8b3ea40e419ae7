//! `modules.edgeHub` and `modules.edgeStream`: the node's two connections to the cloud. Spec 06 §7.4, §7.7.

use crate::{
    config::section,
    names::{CA_CERT_FILE, SERVER_CERT_FILE, SERVER_KEY_FILE},
};

section! {
    /// `modules.edgeHub`.
    pub struct EdgeHub {
        /// Module on or off.
        enable "enable": bool = true,
        /// Keepalive period, whole seconds; keep below two thirds of the cloud's `keepaliveInterval` (30).
        heartbeat "heartbeat" [omit]: i32 = 15,
        /// Upstream messages per second; 0 means unlimited.
        message_qps "messageQPS" [omit]: i32 = 30,
        /// Upstream burst, messages.
        message_burst "messageBurst" [omit]: i32 = 60,
        /// Path element of the WebSocket URL; the cloud only logs it.
        project_id "projectID" [omit]: String = "e632aba927ea4ac2b575ec1603d56f10".into(),
        /// CA certificate; written at the first start. (The cloud's file spells the key `tlsCAFile`.)
        tls_ca_file "tlsCaFile" [omit]: String = CA_CERT_FILE.into(),
        /// The node's certificate; written at the first start.
        tls_cert_file "tlsCertFile" [omit]: String = SERVER_CERT_FILE.into(),
        /// Its key.
        tls_private_key_file "tlsPrivateKeyFile" [omit]: String = SERVER_KEY_FILE.into(),
        /// Join token; normally in the bootstrap file instead.
        token "token": String = String::new(),
        /// `https://host:port` of the certificate server.
        http_server "httpServer" [omit]: String = String::new(),
        /// Renew the certificate before it ends.
        rotate_certificates "rotateCertificates" [omit]: bool = true,
        /// WebSocket link.
        websocket "websocket": Link = Link { enable: true, ..Link::default() },
        /// QUIC link; exactly one of the two is on.
        quic "quic": Link = Link::default(),
    }

    /// `modules.edgeHub.websocket` and `.quic`.
    pub struct Link {
        /// Link on or off.
        enable "enable": bool = false,
        /// `host:port` of the hub.
        server "server" [omit]: String = String::new(),
        /// Seconds to connect.
        handshake_timeout "handshakeTimeout" [omit]: i32 = 30,
        /// Seconds.
        read_deadline "readDeadline" [omit]: i32 = 15,
        /// Seconds per write, and to wait for an answer.
        write_deadline "writeDeadline" [omit]: i32 = 15,
    }

    /// `modules.edgeStream`.
    pub struct EdgeStream {
        /// Module on or off.
        enable "enable": bool = false,
        /// CA certificate.
        tls_tunnel_ca_file "tlsTunnelCAFile" [omit]: String = CA_CERT_FILE.into(),
        /// The node's certificate.
        tls_tunnel_cert_file "tlsTunnelCertFile" [omit]: String = SERVER_CERT_FILE.into(),
        /// Its key.
        tls_tunnel_private_key_file "tlsTunnelPrivateKeyFile" [omit]: String = SERVER_KEY_FILE.into(),
        /// Seconds to connect.
        handshake_timeout "handshakeTimeout" [omit]: i32 = 30,
        /// Seconds; accepted, without effect.
        read_deadline "readDeadline" [omit]: i32 = 15,
        /// `host:port` of the tunnel listener.
        server "server" [omit]: String = "127.0.0.1:10004".into(),
        /// Seconds; accepted, without effect.
        write_deadline "writeDeadline" [omit]: i32 = 15,
    }
}
