//! The remaining modules of cloudcore. Queue and worker sizes are hints; ours are bounded and fair per node anyway.
//! Source: spec 06 §6.3–§6.6, §6.8.

use crate::config::section;

section! {
    /// A module with nothing but a switch.
    pub struct Switch {
        /// Module on or off.
        enable "enable": bool = false,
    }

    /// `modules.edgeController`.
    pub struct EdgeController {
        /// Module on or off.
        enable "enable": bool = true,
        /// Seconds; a node status whose heartbeat is older gets the current time.
        node_update_frequency "nodeUpdateFrequency" [omit]: i32 = 10,
        /// Queue sizes, messages.
        buffer "buffer": EdgeControllerBuffer = EdgeControllerBuffer::default(),
        /// Worker counts.
        load "load": EdgeControllerLoad = EdgeControllerLoad::default(),
    }

    /// `modules.edgeController.buffer`: queue sizes, messages.
    pub struct EdgeControllerBuffer {
        /// Events of edge nodes.
        process_event "processEvent" [omit]: i32 = 1024,
        /// Pod status.
        update_pod_status "updatePodStatus" [omit]: i32 = 1024,
        /// Node status.
        update_node_status "updateNodeStatus" [omit]: i32 = 1024,
        /// Config map queries.
        query_config_map "queryConfigMap" [omit]: i32 = 1024,
        /// Secret queries.
        query_secret "querySecret" [omit]: i32 = 1024,
        /// Persistent volume queries.
        query_persistent_volume "queryPersistentVolume" [omit]: i32 = 1024,
        /// Persistent volume claim queries.
        query_persistent_volume_claim "queryPersistentVolumeClaim" [omit]: i32 = 1024,
        /// Volume attachment queries.
        query_volume_attachment "queryVolumeAttachment" [omit]: i32 = 1024,
        /// Node creations.
        create_node "createNode" [omit]: i32 = 1024,
        /// Node patches.
        patch_node "patchNode" [omit]: i32 = 1274,
        /// Node queries.
        query_node "queryNode" [omit]: i32 = 1524,
        /// Node updates.
        update_node "updateNode" [omit]: i32 = 1024,
        /// Pod patches.
        patch_pod "patchPod" [omit]: i32 = 1024,
        /// Pod deletions.
        delete_pod "deletePod" [omit]: i32 = 1024,
        /// Mirror pods.
        create_pod "createPod" [omit]: i32 = 1024,
        /// Lease creations.
        create_lease "createLease" [omit]: i32 = 1524,
        /// Lease queries.
        query_lease "queryLease" [omit]: i32 = 1024,
        /// Service account tokens.
        service_account_token "serviceAccountToken" [omit]: i32 = 1024,
        /// Certificate signing requests.
        certificate_signing_request "certificateSigningRequest" [omit]: i32 = 1024,
        /// Watched pods.
        pod_event "podEvent" [omit]: i32 = 1,
        /// Watched config maps.
        config_map_event "configMapEvent" [omit]: i32 = 1,
        /// Watched secrets.
        secret_event "secretEvent" [omit]: i32 = 1,
        /// Watched rules.
        rules_event "rulesEvent" [omit]: i32 = 1,
        /// Watched rule endpoints.
        rule_endpoints_event "ruleEndpointsEvent" [omit]: i32 = 1,
    }

    /// `modules.edgeController.load`: worker counts.
    pub struct EdgeControllerLoad {
        /// Events of edge nodes.
        process_event_workers "processEventWorkers" [omit]: i32 = 4,
        /// Pod status.
        update_pod_status_workers "updatePodStatusWorkers" [omit]: i32 = 1,
        /// Node status.
        update_node_status_workers "updateNodeStatusWorkers" [omit]: i32 = 1,
        /// Config map queries.
        query_config_map_workers "queryConfigMapWorkers" [omit]: i32 = 100,
        /// Secret queries.
        query_secret_workers "querySecretWorkers" [omit]: i32 = 100,
        /// Persistent volume queries.
        query_persistent_volume_workers "queryPersistentVolumeWorkers" [omit]: i32 = 4,
        /// Persistent volume claim queries.
        query_persistent_volume_claim_workers "queryPersistentVolumeClaimWorkers" [omit]: i32 = 4,
        /// Volume attachment queries.
        query_volume_attachment_workers "queryVolumeAttachmentWorkers" [omit]: i32 = 4,
        /// Node creations.
        create_node_workers "createNodeWorkers" [omit]: i32 = 100,
        /// Node patches.
        patch_node_workers "patchNodeWorkers" [omit]: i32 = 110,
        /// Node queries.
        query_node_workers "queryNodeWorkers" [omit]: i32 = 500,
        /// Node updates.
        update_node_workers "updateNodeWorkers" [omit]: i32 = 4,
        /// Pod patches.
        patch_pod_workers "patchPodWorkers" [omit]: i32 = 100,
        /// Pod deletions.
        delete_pod_workers "deletePodWorkers" [omit]: i32 = 100,
        /// Mirror pods; the key has no "er".
        create_pod_works "CreatePodWorks" [omit]: i32 = 4,
        /// Lease creations.
        create_lease_workers "createLeaseWorkers" [omit]: i32 = 500,
        /// Lease queries.
        query_lease_workers "queryLeaseWorkers" [omit]: i32 = 100,
        /// Service account tokens.
        service_account_token_workers "ServiceAccountTokenWorkers" [omit]: i32 = 100,
        /// Certificate signing requests.
        certificate_signing_request_workers "certificateSigningRequestWorkers" [omit]: i32 = 4,
        /// Rule status.
        update_rule_status_workers "UpdateRuleStatusWorkers" [omit]: i32 = 4,
    }

    /// `modules.deviceController`.
    pub struct DeviceController {
        /// Module on or off.
        enable "enable": bool = true,
        /// Queue sizes.
        buffer "buffer": DeviceControllerBuffer = DeviceControllerBuffer::default(),
        /// Worker counts.
        load "load": DeviceControllerLoad = DeviceControllerLoad::default(),
    }

    /// `modules.deviceController.buffer`: queue sizes, messages.
    pub struct DeviceControllerBuffer {
        /// Twin reports.
        update_device_twins "updateDeviceTwins" [omit]: i32 = 1024,
        /// Device state reports.
        update_device_status "updateDeviceStatus" [omit]: i32 = 1024,
        /// Watched devices.
        device_event "deviceEvent" [omit]: i32 = 1,
        /// Watched device models.
        device_model_event "deviceModelEvent" [omit]: i32 = 1,
        /// Watched device states.
        device_status_event "deviceStatusEvent" [omit]: i32 = 0,
    }

    /// `modules.deviceController.load`: worker counts.
    pub struct DeviceControllerLoad {
        /// Device state reports.
        update_device_status_workers "updateDeviceStatusWorkers" [omit]: i32 = 1,
    }

    /// `modules.taskManager`.
    pub struct TaskManager {
        /// Module on or off.
        enable "enable": bool = false,
        /// Queue sizes.
        buffer "buffer": TaskManagerBuffer = TaskManagerBuffer::default(),
        /// Worker counts.
        load "load": TaskManagerLoad = TaskManagerLoad::default(),
    }

    /// `modules.taskManager.buffer`: queue sizes, messages.
    pub struct TaskManagerBuffer {
        /// Task states.
        task_status "taskStatus" [omit]: i32 = 1024,
        /// Watched tasks.
        task_event "taskEvent" [omit]: i32 = 1,
    }

    /// `modules.taskManager.load`: worker counts.
    pub struct TaskManagerLoad {
        /// Tasks.
        task_workers "taskWorkers" [omit]: i32 = 1,
    }

    /// `modules.router`.
    pub struct Router {
        /// Module on or off.
        enable "enable": bool = false,
        /// Listen IP of the REST endpoint.
        address "address" [omit]: String = "0.0.0.0".into(),
        /// TCP port; 0 means 9443.
        port "port" [omit]: u32 = 9443,
        /// Seconds to wait for a target; 0 means 60.
        rest_timeout "restTimeout" [omit]: u32 = 60,
    }

    /// `modules.iptablesManager`.
    pub struct IptablesManager {
        /// Rules on or off.
        enable "enable": bool = true,
        /// `internal` (inside cloudcore) or `external` (a DaemonSet does it).
        mode "mode" [omit]: String = "internal".into(),
    }
}
