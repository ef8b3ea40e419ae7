//! `modules.edged.tailoredKubeletConfig`: a cut-down KubeletConfiguration v1beta1. Source: spec 06 §7.3.

use std::collections::BTreeMap;

use crate::config::{Node, duration::GoDuration, section};

section! {
    /// `modules.edged.tailoredKubeletConfig`.
    pub struct TailoredKubeletConfig {
        /// Directory of static pods.
        static_pod_path "staticPodPath" [omit]: String = "/etc/kubeedge/manifests".into(),
        /// Directory of pod logs.
        pod_logs_dir "podLogsDir" [omit]: String = "/var/log/pods".into(),
        /// Period of the full pod sync.
        sync_frequency "syncFrequency": GoDuration = GoDuration::from_secs(60),
        /// Period of the static pod check.
        file_check_frequency "fileCheckFrequency": GoDuration = GoDuration::from_secs(20),
        /// Listen IP of the read-only server; the tunnel connects here.
        address "address" [omit]: String = "127.0.0.1".into(),
        /// Port of the read-only server.
        read_only_port "readOnlyPort" [omit]: i32 = 10350,
        /// Image pulls per second; 0 means unlimited.
        registry_pull_qps "registryPullQPS": i32 = 5,
        /// Burst of image pulls.
        registry_burst "registryBurst" [omit]: i32 = 10,
        /// Events per second.
        event_record_qps "eventRecordQPS": i32 = 50,
        /// Burst of events.
        event_burst "eventBurst" [omit]: i32 = 100,
        /// Exec, logs, attach, port-forward.
        enable_debugging_handlers "enableDebuggingHandlers": bool = true,
        /// Lock profiling.
        enable_contention_profiling "enableContentionProfiling" [omit]: bool = false,
        /// OOM score of the agent, -1000 to 1000.
        oom_score_adj "oomScoreAdj": i32 = -999,
        /// DNS domain of the cluster.
        cluster_domain "clusterDomain" [omit]: String = "cluster.local".into(),
        /// DNS servers of pods.
        cluster_dns "clusterDNS" [omit]: Vec<String> = Vec::new(),
        /// Idle time after which a stream is closed.
        streaming_connection_idle_timeout "streamingConnectionIdleTimeout": GoDuration = GoDuration::from_secs(4 * 3600),
        /// How often the node status is computed.
        node_status_update_frequency "nodeStatusUpdateFrequency": GoDuration = GoDuration::from_secs(10),
        /// How often it is sent when nothing changed.
        node_status_report_frequency "nodeStatusReportFrequency": GoDuration = GoDuration::from_secs(300),
        /// Lease length, seconds; renewed at a quarter.
        node_lease_duration_seconds "nodeLeaseDurationSeconds" [omit]: i32 = 40,
        /// Age from which an unused image may be removed.
        image_minimum_gc_age "imageMinimumGCAge": GoDuration = GoDuration::from_secs(120),
        /// Age at which an unused image is removed; 0 means off.
        image_maximum_gc_age "imageMaximumGCAge": GoDuration = GoDuration::default(),
        /// Disk use, per cent, at which image removal starts.
        image_gc_high_threshold_percent "imageGCHighThresholdPercent": i32 = 85,
        /// Disk use, per cent, at which image removal ends.
        image_gc_low_threshold_percent "imageGCLowThresholdPercent": i32 = 80,
        /// Period of volume statistics; negative means off.
        volume_stats_agg_period "volumeStatsAggPeriod": GoDuration = GoDuration::from_secs(60),
        /// Cgroup of the agent.
        kubelet_cgroups "kubeletCgroups" [omit]: String = String::new(),
        /// Cgroup of system processes.
        system_cgroups "systemCgroups" [omit]: String = String::new(),
        /// Cgroup under which pods live.
        cgroup_root "cgroupRoot" [omit]: String = String::new(),
        /// A cgroup per quality-of-service class.
        cgroups_per_qos "cgroupsPerQOS": bool = true,
        /// `cgroupfs` or `systemd`; must be the runtime's.
        cgroup_driver "cgroupDriver" [omit]: String = "cgroupfs".into(),
        /// Kill one process instead of the whole cgroup (cgroup v2).
        single_process_oom_kill "singleProcessOOMKill" [omit]: Option<bool> = None,
        /// `none` or `static`.
        cpu_manager_policy "cpuManagerPolicy" [omit]: String = "none".into(),
        /// Options of that policy.
        cpu_manager_policy_options "cpuManagerPolicyOptions" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// Period of CPU set repair.
        cpu_manager_reconcile_period "cpuManagerReconcilePeriod": GoDuration = GoDuration::from_secs(10),
        /// `None` or `Static`.
        memory_manager_policy "memoryManagerPolicy" [omit]: String = "None".into(),
        /// `none`, `best-effort`, `restricted`, `single-numa-node`.
        topology_manager_policy "topologyManagerPolicy" [omit]: String = "none".into(),
        /// `container` or `pod`.
        topology_manager_scope "topologyManagerScope" [omit]: String = "container".into(),
        /// Options of that policy.
        topology_manager_policy_options "topologyManagerPolicyOptions" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// Percentages reserved for QoS classes.
        qos_reserved "qosReserved" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// Deadline of CRI calls except pulls and streams.
        runtime_request_timeout "runtimeRequestTimeout": GoDuration = GoDuration::from_secs(120),
        /// `promiscuous-bridge`, `hairpin-veth`, `none`.
        hairpin_mode "hairpinMode" [omit]: String = "promiscuous-bridge".into(),
        /// Most pods on the node.
        max_pods "maxPods" [omit]: i32 = 110,
        /// Pod network of the node.
        pod_cidr "podCIDR" [omit]: String = String::new(),
        /// Most processes per pod; -1 means the system's limit.
        pod_pids_limit "podPidsLimit": i64 = -1,
        /// Resolver file from which pods' ones are made.
        resolv_conf "resolvConf": String = "/etc/resolv.conf".into(),
        /// CPU quotas on or off.
        cpu_cfs_quota "cpuCFSQuota": bool = true,
        /// CPU quota period.
        cpu_cfs_quota_period "cpuCFSQuotaPeriod": GoDuration = GoDuration::from_millis(100),
        /// Most images in the node status; 0 means none, -1 all.
        node_status_max_images "nodeStatusMaxImages": i32 = 0,
        /// Open file limit of the agent.
        max_open_files "maxOpenFiles" [omit]: i64 = 1_000_000,
        /// Accepted, without effect.
        content_type "contentType" [omit]: String = "application/json".into(),
        /// One image pull at a time.
        serialize_image_pulls "serializeImagePulls": bool = true,
        /// Most image pulls at a time.
        max_parallel_image_pulls "maxParallelImagePulls" [omit]: Option<i32> = None,
        /// Hard eviction thresholds by signal.
        eviction_hard "evictionHard" [omit]: BTreeMap<String, String> = eviction_hard(),
        /// Soft eviction thresholds by signal.
        eviction_soft "evictionSoft" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// Grace periods of the soft thresholds.
        eviction_soft_grace_period "evictionSoftGracePeriod" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// Least amounts to reclaim.
        eviction_minimum_reclaim "evictionMinimumReclaim" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// How long a pressure condition stays.
        eviction_pressure_transition_period "evictionPressureTransitionPeriod": GoDuration = GoDuration::from_secs(300),
        /// Longest grace period on soft eviction, seconds.
        eviction_max_pod_grace_period "evictionMaxPodGracePeriod" [omit]: i32 = 0,
        /// Most pods per core; 0 means any number.
        pods_per_core "podsPerCore" [omit]: i32 = 0,
        /// Volumes are attached by a controller.
        enable_controller_attach_detach "enableControllerAttachDetach": bool = true,
        /// Refuse to change kernel settings.
        protect_kernel_defaults "protectKernelDefaults" [omit]: bool = false,
        /// Keep the kubelet's iptables chains.
        make_iptables_util_chains "makeIPTablesUtilChains": bool = true,
        /// Mark for masquerading.
        iptables_masquerade_bit "iptablesMasqueradeBit": i32 = 14,
        /// Mark for dropping.
        iptables_drop_bit "iptablesDropBit": i32 = 15,
        /// Kubernetes feature gates, not KubeEdge's.
        feature_gates "featureGates" [omit]: BTreeMap<String, bool> = BTreeMap::new(),
        /// Refuse to run with swap.
        fail_swap_on "failSwapOn": bool = false,
        /// Swap use of workloads.
        memory_swap "memorySwap": MemorySwap = MemorySwap::default(),
        /// Size at which a container log is rotated.
        container_log_max_size "containerLogMaxSize" [omit]: String = "10Mi".into(),
        /// Log files per container.
        container_log_max_files "containerLogMaxFiles": i32 = 5,
        /// Log rotations at a time.
        container_log_max_workers "containerLogMaxWorkers": i32 = 1,
        /// Period of the log size check.
        container_log_monitor_interval "containerLogMonitorInterval": GoDuration = GoDuration::from_secs(10),
        /// `Get`, `Cache` or `Watch`.
        config_map_and_secret_change_detection_strategy
            "configMapAndSecretChangeDetectionStrategy" [omit]: String = "Get".into(),
        /// Resources kept for the system.
        system_reserved "systemReserved" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// Resources kept for Kubernetes.
        kube_reserved "kubeReserved" [omit]: BTreeMap<String, String> = BTreeMap::new(),
        /// CPUs kept for the system.
        reserved_system_cpus "reservedSystemCPUs" [omit]: String = String::new(),
        /// Accepted, without effect.
        show_hidden_metrics_for_version "showHiddenMetricsForVersion" [omit]: String = String::new(),
        /// Cgroup of system processes, for enforcement.
        system_reserved_cgroup "systemReservedCgroup" [omit]: String = String::new(),
        /// Cgroup of Kubernetes processes, for enforcement.
        kube_reserved_cgroup "kubeReservedCgroup" [omit]: String = String::new(),
        /// What node allocatable is enforced on.
        enforce_node_allocatable "enforceNodeAllocatable": Vec<String> = vec!["pods".into()],
        /// Sysctls that pods may set.
        allowed_unsafe_sysctls "allowedUnsafeSysctls" [omit]: Vec<String> = Vec::new(),
        /// Directory of volume plugins.
        volume_plugin_dir "volumePluginDir" [omit]: String =
            "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/".into(),
        /// Accepted, without effect.
        kernel_memcg_notification "kernelMemcgNotification" [omit]: bool = false,
        /// Log settings of the Go program; accepted, without effect.
        logging "logging": Node = logging(),
        /// Host logs through the server.
        enable_system_log_handler "enableSystemLogHandler": bool = true,
        /// Host log queries through the server.
        enable_system_log_query "enableSystemLogQuery" [omit]: Option<bool> = None,
        /// Time for pods to end when the node shuts down.
        shutdown_grace_period "shutdownGracePeriod": GoDuration = GoDuration::default(),
        /// The part of it for critical pods.
        shutdown_grace_period_critical_pods "shutdownGracePeriodCriticalPods": GoDuration = GoDuration::default(),
        /// The same by priority.
        shutdown_grace_period_by_pod_priority
            "shutdownGracePeriodByPodPriority" [omit]: Vec<ShutdownGracePeriod> = Vec::new(),
        /// Restart delay of crashing containers.
        crash_loop_back_off "crashLoopBackOff": CrashLoopBackOff = CrashLoopBackOff::default(),
        /// Memory kept per NUMA node.
        reserved_memory "reservedMemory" [omit]: Vec<MemoryReservation> = Vec::new(),
        /// Profiling handler.
        enable_profiling_handler "enableProfilingHandler": bool = true,
        /// Debug flag handler.
        enable_debug_flags_handler "enableDebugFlagsHandler": bool = true,
        /// Seccomp `RuntimeDefault` for all workloads.
        seccomp_default "seccompDefault": bool = false,
        /// Factor of the memory throttling threshold, above 0 up to 1.
        memory_throttling_factor "memoryThrottlingFactor": f64 = 0.9,
        /// Taints of the Node at registration.
        register_with_taints "registerWithTaints" [omit]: Vec<Taint> = Vec::new(),
        /// Whether the Node is created by the agent.
        register_node "registerNode": bool = true,
        /// Local storage as a resource.
        local_storage_capacity_isolation "localStorageCapacityIsolation": bool = true,
        /// Socket of the CRI runtime service.
        container_runtime_endpoint "containerRuntimeEndpoint": String = crate::names::CONTAINERD_ENDPOINT.into(),
        /// Socket of the CRI image service; empty means the runtime's.
        image_service_endpoint "imageServiceEndpoint": String = crate::names::CONTAINERD_ENDPOINT.into(),
        /// Refuse to run on cgroup v1.
        fail_cgroup_v1 "failCgroupV1": bool = false,
    }

    /// `memorySwap`.
    pub struct MemorySwap {
        /// Empty, `NoSwap` or `LimitedSwap`.
        swap_behavior "swapBehavior" [omit]: String = String::new(),
    }

    /// `crashLoopBackOff`.
    pub struct CrashLoopBackOff {
        /// Longest restart delay.
        max_container_restart_period "maxContainerRestartPeriod" [omit]: Option<GoDuration> = None,
    }

    /// One element of `shutdownGracePeriodByPodPriority`.
    pub struct ShutdownGracePeriod {
        /// Pod priority from which this holds.
        priority "priority": i32 = 0,
        /// Seconds.
        shutdown_grace_period_seconds "shutdownGracePeriodSeconds": i64 = 0,
    }

    /// One element of `reservedMemory`.
    pub struct MemoryReservation {
        /// NUMA node.
        numa_node "numaNode": i32 = 0,
        /// Amounts by resource.
        limits "limits": BTreeMap<String, String> = BTreeMap::new(),
    }

    /// A node taint.
    pub struct Taint {
        /// Key.
        key "key": String = String::new(),
        /// Value.
        value "value" [omit]: String = String::new(),
        /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
        effect "effect": String = String::new(),
        /// When it was added, RFC 3339.
        time_added "timeAdded" [omit]: String = String::new(),
    }
}

fn eviction_hard() -> BTreeMap<String, String> {
    [
        ("imagefs.available", "15%"),
        ("imagefs.inodesFree", "5%"),
        ("memory.available", "100Mi"),
        ("nodefs.available", "10%"),
        ("nodefs.inodesFree", "5%"),
    ]
    .map(|(signal, threshold)| (signal.to_owned(), threshold.to_owned()))
    .into()
}

fn logging() -> Node {
    let text = |value: &str| Node::Text(value.to_owned());
    let mut logging = Node::map();
    logging.put("flushFrequency", text("5s"));
    logging.put("format", text("text"));
    logging.put("options.json.infoBufferSize", text("0"));
    logging.put("options.text.infoBufferSize", text("0"));
    logging.put("verbosity", Node::Int(0));
    logging
}
