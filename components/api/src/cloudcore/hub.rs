//! `modules.cloudHub` and `modules.cloudStream`: what edge nodes and the API server connect to. Spec 06 §6.2, §6.7.

use crate::{
    config::section,
    names::{
        CA_CERT_FILE, CA_KEY_FILE, SERVER_CERT_FILE, SERVER_KEY_FILE, STREAM_CA_FILE, STREAM_CERT_FILE, STREAM_KEY_FILE,
    },
};

section! {
    /// `modules.cloudHub`.
    pub struct CloudHub {
        /// Hub on or off.
        enable "enable": bool = true,
        /// Seconds without a keepalive after which a session is closed.
        keepalive_interval "keepaliveInterval" [omit]: i32 = 30,
        /// Most node sessions of this instance.
        node_limit "nodeLimit" [omit]: i32 = 500,
        /// CA certificate; used and saved to Secret `casecret` if the pair exists.
        tls_ca_file "tlsCAFile" [omit]: String = CA_CERT_FILE.into(),
        /// CA key.
        tls_ca_key_file "tlsCAKeyFile" [omit]: String = CA_KEY_FILE.into(),
        /// Server certificate; same rule with Secret `cloudcoresecret`.
        tls_cert_file "tlsCertFile" [omit]: String = SERVER_CERT_FILE.into(),
        /// Server key.
        tls_private_key_file "tlsPrivateKeyFile" [omit]: String = SERVER_KEY_FILE.into(),
        /// Seconds; accepted, without effect.
        write_timeout "writeTimeout" [omit]: i32 = 30,
        /// IPs (or DNS names) for the server certificate; the first is what edges dial.
        advertise_address "advertiseAddress" [omit]: Vec<String> = Vec::new(),
        /// DNS names for the server certificate; empty entries are skipped.
        dns_names "dnsNames" [omit]: Vec<String> = vec![String::new()],
        /// Life of node certificates, days.
        edge_cert_signing_duration "edgeCertSigningDuration" [omit]: i32 = 365,
        /// Hours between rotations of the join token; it lives twice as long.
        token_refresh_duration "tokenRefreshDuration" [omit]: i32 = 12,
        /// Whether edges before v1.16 are believed, whose certificates do not name their node. Ours; off, because any
        /// of them can claim to be any node.
        legacy_certificates "legacyCertificates" [omit]: bool = false,
        /// QUIC listener.
        quic "quic": CloudHubQuic = CloudHubQuic::default(),
        /// Socket for the CSI driver.
        unixsocket "unixsocket": UnixSocket = UnixSocket::default(),
        /// WebSocket listener.
        websocket "websocket": CloudHubWebSocket = CloudHubWebSocket::default(),
        /// Certificates, node check and task reports.
        https "https": CloudHubHttps = CloudHubHttps::default(),
        /// Node authorizer for edge messages.
        authorization "authorization": Authorization = Authorization::default(),
    }

    /// `modules.cloudHub.quic`.
    pub struct CloudHubQuic {
        /// Listener on or off.
        enable "enable": bool = false,
        /// Listen IP.
        address "address" [omit]: String = "0.0.0.0".into(),
        /// UDP port.
        port "port" [omit]: u32 = 10001,
        /// Streams a peer may open.
        max_incoming_streams "maxIncomingStreams" [omit]: i32 = 10000,
    }

    /// `modules.cloudHub.unixsocket`.
    pub struct UnixSocket {
        /// Socket on or off.
        enable "enable": bool = true,
        /// `unix://` and the path.
        address "address" [omit]: String = "unix:///var/lib/kubeedge/kubeedge.sock".into(),
    }

    /// `modules.cloudHub.websocket`.
    pub struct CloudHubWebSocket {
        /// Listener on or off.
        enable "enable": bool = true,
        /// Listen IP.
        address "address" [omit]: String = "0.0.0.0".into(),
        /// TCP port.
        port "port" [omit]: u32 = 10000,
    }

    /// `modules.cloudHub.https`.
    pub struct CloudHubHttps {
        /// Accepted; the listener always runs with the hub.
        enable "enable": bool = true,
        /// Listen IP.
        address "address" [omit]: String = "0.0.0.0".into(),
        /// TCP port.
        port "port" [omit]: u32 = 10002,
    }

    /// `modules.cloudHub.authorization`.
    pub struct Authorization {
        /// Check what edges ask for.
        enable "enable": bool = false,
        /// Only log the decisions.
        debug "debug": bool = true,
        /// Authorizers.
        modes "modes": Vec<AuthorizationMode> = vec![AuthorizationMode { node: NodeMode { enable: true } }],
    }

    /// One element of `modules.cloudHub.authorization.modes`.
    pub struct AuthorizationMode {
        /// The node authorizer.
        node "node": NodeMode = NodeMode::default(),
    }

    /// `node` of an authorization mode.
    pub struct NodeMode {
        /// Authorizer on or off.
        enable "enable": bool = false,
    }

    /// `modules.cloudStream`.
    pub struct CloudStream {
        /// Stream server on or off.
        enable "enable": bool = false,
        /// CA for edge tunnels.
        tls_tunnel_ca_file "tlsTunnelCAFile" [omit]: String = CA_CERT_FILE.into(),
        /// Certificate of the tunnel listener.
        tls_tunnel_cert_file "tlsTunnelCertFile" [omit]: String = SERVER_CERT_FILE.into(),
        /// Its key.
        tls_tunnel_private_key_file "tlsTunnelPrivateKeyFile" [omit]: String = SERVER_KEY_FILE.into(),
        /// TCP port for edge tunnels.
        tunnel_port "tunnelPort" [omit]: u32 = 10004,
        /// CA that signs the API server's client certificate.
        tls_stream_ca_file "tlsStreamCAFile" [omit]: String = STREAM_CA_FILE.into(),
        /// Certificate shown to the API server.
        tls_stream_cert_file "tlsStreamCertFile" [omit]: String = STREAM_CERT_FILE.into(),
        /// Its key.
        tls_stream_private_key_file "tlsStreamPrivateKeyFile" [omit]: String = STREAM_KEY_FILE.into(),
        /// TCP port for the API server.
        stream_port "streamPort" [omit]: u32 = 10003,
    }
}
