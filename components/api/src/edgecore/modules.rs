//! `modules` and the small sections under it. Source: spec 06 §7.5–§7.7.

use super::{
    edged::Edged,
    hub::{EdgeHub, EdgeStream},
};
use crate::{
    config::section,
    names::{CA_CERT_FILE, SERVER_CERT_FILE, SERVER_KEY_FILE},
};

section! {
    /// `modules`.
    pub struct Modules {
        /// Test module; keep off.
        db_test "dbTest": Switch = Switch::default(),
        /// Device twins and mappers.
        device_twin "deviceTwin": DeviceTwin = DeviceTwin::default(),
        /// The link to the cloud.
        edge_hub "edgeHub": EdgeHub = EdgeHub::default(),
        /// `kubectl logs`, `exec` and metrics through the tunnel.
        edge_stream "edgeStream": EdgeStream = EdgeStream::default(),
        /// The pod agent.
        edged "edged": Edged = Edged::default(),
        /// MQTT.
        event_bus "eventBus": EventBus = EventBus::default(),
        /// The local copy of what the cluster wants.
        meta_manager "metaManager": MetaManager = MetaManager::default(),
        /// HTTP to edge applications.
        service_bus "serviceBus": ServiceBus = ServiceBus::default(),
        /// Node jobs.
        task_manager "taskManager": Switch = Switch::default(),
    }

    /// A module with nothing but a switch.
    pub struct Switch {
        /// Module on or off.
        enable "enable": bool = false,
    }

    /// `modules.deviceTwin`.
    pub struct DeviceTwin {
        /// Module on or off.
        enable "enable": bool = true,
        /// Directory of the mapper socket `dmi.sock`; a value that ends in `.sock` means its directory.
        dmi_sock_path "dmiSockPath" [omit]: String = "/etc/kubeedge/".into(),
    }

    /// `modules.eventBus`.
    pub struct EventBus {
        /// Module on or off.
        enable "enable": bool = true,
        /// 0 built-in broker, 1 both, 2 external broker.
        mqtt_mode "mqttMode": u8 = 2,
        /// URL of the external broker.
        mqtt_server_external "mqttServerExternal" [omit]: String = "tcp://127.0.0.1:1883".into(),
        /// Listen URL of the built-in broker.
        mqtt_server_internal "mqttServerInternal" [omit]: String = "tcp://127.0.0.1:1884".into(),
        /// Client id for subscriptions; empty means generated.
        mqtt_sub_client_id "mqttSubClientID": String = String::new(),
        /// Client id for publications; empty means generated.
        mqtt_pub_client_id "mqttPubClientID": String = String::new(),
        /// Login at the external broker.
        mqtt_username "mqttUsername": String = String::new(),
        /// Its password.
        mqtt_password "mqttPassword": String = String::new(),
        /// MQTT quality of service.
        mqtt_qos "mqttQOS": u8 = 0,
        /// MQTT retain flag.
        mqtt_retain "mqttRetain": bool = false,
        /// Messages kept for a session of the built-in broker.
        mqtt_session_queue_size "mqttSessionQueueSize" [omit]: i32 = 100,
        /// TLS to the external broker.
        event_bus_tls "eventBusTLS": EventBusTls = EventBusTls::default(),
    }

    /// `modules.eventBus.eventBusTLS`.
    pub struct EventBusTls {
        /// TLS on or off.
        enable "enable": bool = false,
        /// CA certificate of the broker.
        tls_mqtt_ca_file "tlsMqttCAFile" [omit]: String = CA_CERT_FILE.into(),
        /// Client certificate.
        tls_mqtt_cert_file "tlsMqttCertFile" [omit]: String = SERVER_CERT_FILE.into(),
        /// Its key.
        tls_mqtt_private_key_file "tlsMqttPrivateKeyFile" [omit]: String = SERVER_KEY_FILE.into(),
    }

    /// `modules.metaManager`.
    pub struct MetaManager {
        /// Module on or off.
        enable "enable": bool = true,
        /// Internal name of the Go program; accepted, without effect.
        context_send_group "contextSendGroup" [omit]: String = "hub".into(),
        /// Internal name of the Go program; accepted, without effect.
        context_send_module "contextSendModule" [omit]: String = "websocket".into(),
        /// Seconds to wait for the cloud's answer to a query.
        remote_query_timeout "remoteQueryTimeout" [omit]: i32 = 60,
        /// The local API server.
        meta_server "metaServer": MetaServer = MetaServer::default(),
    }

    /// `modules.metaManager.metaServer`.
    pub struct MetaServer {
        /// Server on or off; on also skips the check for a running kubelet.
        enable "enable": bool = false,
        /// `IP:port` of the listener.
        server "server": String = "127.0.0.1:10550".into(),
        /// CA certificate.
        tls_ca_file "tlsCaFile": String = CA_CERT_FILE.into(),
        /// Serving certificate.
        tls_cert_file "tlsCertFile": String = SERVER_CERT_FILE.into(),
        /// Its key.
        tls_private_key_file "tlsPrivateKeyFile": String = SERVER_KEY_FILE.into(),
        /// Accepted token issuers.
        service_account_issuers "serviceAccountIssuers": Vec<String> =
            vec!["https://kubernetes.default.svc.cluster.local".into()],
        /// Accepted audiences; absent means the issuers.
        api_audiences "apiAudiences": Option<Vec<String>> = None,
        /// Public keys for token checks without the cloud.
        service_account_key_files "serviceAccountKeyFiles": Option<Vec<String>> = None,
        /// HTTPS listener on a dummy interface for in-cluster clients.
        dummy_server "dummyServer": String = "169.254.30.10:10550".into(),
    }

    /// `modules.serviceBus`.
    pub struct ServiceBus {
        /// Module on or off.
        enable "enable": bool = false,
        /// Listen IP.
        server "server": String = "127.0.0.1".into(),
        /// TCP port.
        port "port": u32 = 9060,
        /// Seconds.
        timeout "timeout": i32 = 60,
        /// Serving certificate; set together with the key.
        tls_cert_file "tlsCertFile" [omit]: String = String::new(),
        /// Its key.
        tls_private_key_file "tlsPrivateKeyFile" [omit]: String = String::new(),
    }
}
