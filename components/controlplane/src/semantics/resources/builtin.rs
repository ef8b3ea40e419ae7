//! The table of built-in resources. One row a resource; facts from spec 10 §2.1, §2.5 and §4.1.

use super::{PART_VERBS, Resource, STANDARD_VERBS, Subresource, Verb};

const CREATE_ONLY: &[Verb] = &["create"];
const READ_ONLY: &[Verb] = &["get", "list"];
const PROXY_VERBS: &[Verb] = &["create", "delete", "get", "patch", "update"];
const STREAM_VERBS: &[Verb] = &["create", "get"];

const fn part(name: &'static str, kind: &'static str) -> Subresource {
    Subresource { name, kind, foreign: None, verbs: PART_VERBS }
}

const fn status(kind: &'static str) -> Subresource {
    part("status", kind)
}

const fn foreign(
    name: &'static str,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    verbs: &'static [Verb],
) -> Subresource {
    Subresource { name, kind, foreign: Some((group, version)), verbs }
}

/// The scale subresource, of built-in and custom kinds.
pub(in crate::semantics) const SCALE: Subresource = foreign("scale", "autoscaling", "v1", "Scale", PART_VERBS);

const fn sub(name: &'static str, kind: &'static str, verbs: &'static [Verb]) -> Subresource {
    Subresource { name, kind, foreign: None, verbs }
}

/// An ordinary namespaced resource without subresources; the methods below refine it.
const fn row(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    message: &'static str,
) -> Resource {
    Resource {
        group,
        version,
        plural,
        singular,
        kind,
        short_names: &[],
        categories: &[],
        namespaced: true,
        verbs: STANDARD_VERBS,
        subresources: &[],
        create_on_update: false,
        unconditional_update: true,
        generation: false,
        stored_as: None,
        message,
    }
}

impl Resource {
    const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }
    const fn category(mut self, names: &'static [&'static str]) -> Self {
        self.categories = names;
        self
    }
    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }
    const fn verbs(mut self, verbs: &'static [Verb]) -> Self {
        self.verbs = verbs;
        self
    }
    const fn with(mut self, subresources: &'static [Subresource]) -> Self {
        self.subresources = subresources;
        self
    }
    const fn creates(mut self) -> Self {
        self.create_on_update = true;
        self
    }
    const fn conditional(mut self) -> Self {
        self.unconditional_update = false;
        self
    }
    const fn generation(mut self) -> Self {
        self.generation = true;
        self
    }
    const fn stored(mut self, group: &'static str, version: &'static str) -> Self {
        self.stored_as = Some((group, version));
        self
    }
}

const ALL: &[&str] = &["all"];
const EXTENSIONS: &[&str] = &["api-extensions"];
const RBAC: &str = "rbac.authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// Every built-in resource, grouped by API group.
pub fn builtin() -> &'static [Resource] {
    TABLE
}

#[rustfmt::skip] // one row a resource reads as a table
static TABLE: &[Resource] = &[
    row("", "v1", "bindings", "binding", "Binding", "core.v1.Binding").verbs(CREATE_ONLY),
    row("", "v1", "componentstatuses", "componentstatus", "ComponentStatus", "core.v1.ComponentStatus")
        .short(&["cs"]).cluster().verbs(READ_ONLY),
    row("", "v1", "configmaps", "configmap", "ConfigMap", "core.v1.ConfigMap").short(&["cm"]),
    row("", "v1", "endpoints", "endpoints", "Endpoints", "core.v1.Endpoints").short(&["ep"]).creates(),
    row("", "v1", "events", "event", "Event", "core.v1.Event").short(&["ev"]).creates(),
    row("", "v1", "limitranges", "limitrange", "LimitRange", "core.v1.LimitRange").short(&["limits"]).creates(),
    row("", "v1", "namespaces", "namespace", "Namespace", "core.v1.Namespace").short(&["ns"]).cluster()
        .verbs(&["create", "delete", "get", "list", "patch", "update", "watch"])
        .with(&[sub("finalize", "Namespace", &["update"]), status("Namespace")]),
    row("", "v1", "nodes", "node", "Node", "core.v1.Node").short(&["no"]).cluster()
        .with(&[sub("proxy", "NodeProxyOptions", PROXY_VERBS), status("Node")]),
    row("", "v1", "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim",
        "core.v1.PersistentVolumeClaim").short(&["pvc"]).with(&[status("PersistentVolumeClaim")]),
    row("", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume", "core.v1.PersistentVolume")
        .short(&["pv"]).cluster().with(&[status("PersistentVolume")]),
    row("", "v1", "pods", "pod", "Pod", "core.v1.Pod").short(&["po"]).category(ALL).with(&[
        sub("attach", "PodAttachOptions", STREAM_VERBS),
        sub("binding", "Binding", CREATE_ONLY),
        part("ephemeralcontainers", "Pod"),
        foreign("eviction", "policy", "v1", "Eviction", CREATE_ONLY),
        sub("exec", "PodExecOptions", STREAM_VERBS),
        sub("log", "Pod", &["get"]),
        sub("portforward", "PodPortForwardOptions", STREAM_VERBS),
        sub("proxy", "PodProxyOptions", PROXY_VERBS),
        status("Pod"),
    ]),
    row("", "v1", "podtemplates", "podtemplate", "PodTemplate", "core.v1.PodTemplate"),
    row("", "v1", "replicationcontrollers", "replicationcontroller", "ReplicationController",
        "core.v1.ReplicationController").short(&["rc"]).category(ALL).generation()
        .with(&[SCALE, status("ReplicationController")]),
    row("", "v1", "resourcequotas", "resourcequota", "ResourceQuota", "core.v1.ResourceQuota").short(&["quota"])
        .with(&[status("ResourceQuota")]),
    row("", "v1", "secrets", "secret", "Secret", "core.v1.Secret"),
    row("", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount", "core.v1.ServiceAccount").short(&["sa"])
        .with(&[foreign("token", AUTHENTICATION, "v1", "TokenRequest", CREATE_ONLY)]),
    row("", "v1", "services", "service", "Service", "core.v1.Service").short(&["svc"]).category(ALL)
        .with(&[sub("proxy", "ServiceProxyOptions", PROXY_VERBS), status("Service")]),

    row(ADMISSION, "v1", "mutatingwebhookconfigurations", "mutatingwebhookconfiguration",
        "MutatingWebhookConfiguration", "admissionregistration.v1.MutatingWebhookConfiguration")
        .category(EXTENSIONS).cluster().conditional().generation(),
    row(ADMISSION, "v1", "validatingwebhookconfigurations", "validatingwebhookconfiguration",
        "ValidatingWebhookConfiguration", "admissionregistration.v1.ValidatingWebhookConfiguration")
        .category(EXTENSIONS).cluster().conditional().generation(),

    row("apiextensions.k8s.io", "v1", "customresourcedefinitions", "customresourcedefinition",
        "CustomResourceDefinition", "apiextensions.v1.CustomResourceDefinition").short(&["crd", "crds"])
        .category(EXTENSIONS).cluster().conditional().generation().with(&[status("CustomResourceDefinition")]),

    row("apiregistration.k8s.io", "v1", "apiservices", "apiservice", "APIService", "apiregistration.v1.APIService")
        .category(EXTENSIONS).cluster().with(&[status("APIService")]),

    row("apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision", "apps.v1.ControllerRevision"),
    row("apps", "v1", "daemonsets", "daemonset", "DaemonSet", "apps.v1.DaemonSet").short(&["ds"]).category(ALL)
        .generation().with(&[status("DaemonSet")]),
    row("apps", "v1", "deployments", "deployment", "Deployment", "apps.v1.Deployment").short(&["deploy"]).category(ALL)
        .generation().with(&[SCALE, status("Deployment")]),
    row("apps", "v1", "replicasets", "replicaset", "ReplicaSet", "apps.v1.ReplicaSet").short(&["rs"]).category(ALL)
        .generation().with(&[SCALE, status("ReplicaSet")]),
    row("apps", "v1", "statefulsets", "statefulset", "StatefulSet", "apps.v1.StatefulSet").short(&["sts"])
        .category(ALL).generation().with(&[SCALE, status("StatefulSet")]),

    row(AUTHENTICATION, "v1", "selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview",
        "authentication.v1.SelfSubjectReview").cluster().verbs(CREATE_ONLY),
    row(AUTHENTICATION, "v1", "tokenreviews", "tokenreview", "TokenReview", "authentication.v1.TokenReview")
        .cluster().verbs(CREATE_ONLY),

    row(AUTHORIZATION, "v1", "localsubjectaccessreviews", "localsubjectaccessreview", "LocalSubjectAccessReview",
        "authorization.v1.LocalSubjectAccessReview").verbs(CREATE_ONLY),
    row(AUTHORIZATION, "v1", "selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview",
        "authorization.v1.SelfSubjectAccessReview").cluster().verbs(CREATE_ONLY),
    row(AUTHORIZATION, "v1", "selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview",
        "authorization.v1.SelfSubjectRulesReview").cluster().verbs(CREATE_ONLY),
    row(AUTHORIZATION, "v1", "subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview",
        "authorization.v1.SubjectAccessReview").cluster().verbs(CREATE_ONLY),

    row("autoscaling", "v2", "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler",
        "autoscaling.v2.HorizontalPodAutoscaler").short(&["hpa"]).category(ALL)
        .with(&[status("HorizontalPodAutoscaler")]),
    row("autoscaling", "v1", "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler",
        "autoscaling.v1.HorizontalPodAutoscaler").short(&["hpa"]).category(ALL).stored("autoscaling", "v2")
        .with(&[status("HorizontalPodAutoscaler")]),

    row("batch", "v1", "cronjobs", "cronjob", "CronJob", "batch.v1.CronJob").short(&["cj"]).category(ALL).generation()
        .with(&[status("CronJob")]),
    row("batch", "v1", "jobs", "job", "Job", "batch.v1.Job").category(ALL).generation().with(&[status("Job")]),

    row("certificates.k8s.io", "v1", "certificatesigningrequests", "certificatesigningrequest",
        "CertificateSigningRequest", "certificates.v1.CertificateSigningRequest").short(&["csr"]).cluster()
        .with(&[part("approval", "CertificateSigningRequest"), status("CertificateSigningRequest")]),

    row("coordination.k8s.io", "v1", "leases", "lease", "Lease", "coordination.v1.Lease").creates().conditional(),

    row("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", "discovery.v1.EndpointSlice")
        .generation(),

    row("events.k8s.io", "v1", "events", "event", "Event", "events.v1.Event").short(&["ev"]).creates()
        .stored("", "v1"),

    row(NETWORKING, "v1", "ingressclasses", "ingressclass", "IngressClass", "networking.v1.IngressClass")
        .cluster().generation(),
    row(NETWORKING, "v1", "ingresses", "ingress", "Ingress", "networking.v1.Ingress").short(&["ing"]).generation()
        .with(&[status("Ingress")]),
    row(NETWORKING, "v1", "networkpolicies", "networkpolicy", "NetworkPolicy", "networking.v1.NetworkPolicy")
        .short(&["netpol"]).generation(),

    row("node.k8s.io", "v1", "runtimeclasses", "runtimeclass", "RuntimeClass", "node.v1.RuntimeClass")
        .cluster().creates(),

    row("policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget",
        "policy.v1.PodDisruptionBudget").short(&["pdb"]).conditional().generation()
        .with(&[status("PodDisruptionBudget")]),

    row(RBAC, "v1", "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", "rbac.v1.ClusterRoleBinding")
        .cluster().creates(),
    row(RBAC, "v1", "clusterroles", "clusterrole", "ClusterRole", "rbac.v1.ClusterRole").cluster().creates(),
    row(RBAC, "v1", "rolebindings", "rolebinding", "RoleBinding", "rbac.v1.RoleBinding").creates(),
    row(RBAC, "v1", "roles", "role", "Role", "rbac.v1.Role").creates(),

    row("scheduling.k8s.io", "v1", "priorityclasses", "priorityclass", "PriorityClass", "scheduling.v1.PriorityClass")
        .short(&["pc"]).cluster().generation(),

    row(STORAGE, "v1", "csidrivers", "csidriver", "CSIDriver", "storage.v1.CSIDriver").cluster().conditional(),
    row(STORAGE, "v1", "csinodes", "csinode", "CSINode", "storage.v1.CSINode").cluster().conditional(),
    row(STORAGE, "v1", "csistoragecapacities", "csistoragecapacity", "CSIStorageCapacity",
        "storage.v1.CSIStorageCapacity"),
    row(STORAGE, "v1", "storageclasses", "storageclass", "StorageClass", "storage.v1.StorageClass").short(&["sc"])
        .cluster(),
    row(STORAGE, "v1", "volumeattachments", "volumeattachment", "VolumeAttachment", "storage.v1.VolumeAttachment")
        .cluster().conditional().with(&[status("VolumeAttachment")]),
];
