//! The headings of every built-in kind. Source: spec 10 §7.

use super::Column;
use crate::semantics::resources::ResourceInfo;

/// Kinds that look alike share a layout.
pub(super) fn layout_name(resource: &ResourceInfo) -> &str {
    match &*resource.plural {
        "roles" | "clusterroles" | "limitranges" | "customresourcedefinitions" => "created",
        "rolebindings" | "clusterrolebindings" => "bindings",
        "replicasets" | "replicationcontrollers" => "replicas",
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => "webhooks",
        other => other,
    }
}

/// The headings of a built-in kind.
pub(super) fn columns(resource: &ResourceInfo) -> Vec<Column> {
    layout(layout_name(resource)).split('|').map(column).collect()
}

/// One heading: a leading `*` is wide; a trailing `#` is an integer, `?` a boolean, `@` a date.
fn column(heading: &str) -> Column {
    let (wide, name) = heading.strip_prefix('*').map_or((false, heading), |name| (true, name));
    let (name, kind) = match name.char_indices().last() {
        Some((at, '#')) => (&name[..at], "integer"),
        Some((at, '?')) => (&name[..at], "boolean"),
        Some((at, '@')) => (&name[..at], "date"),
        _ => (name, "string"),
    };
    Column {
        name: name.to_owned(),
        column_type: kind.to_owned(),
        format: if name == "Name" { "name" } else { "" }.to_owned(),
        description: name.to_owned(),
        priority: i64::from(wide),
    }
}

fn layout(name: &str) -> &'static str {
    match name {
        "pods" => "Name|Ready|Status|Restarts|Age|*IP|*Node|*Nominated Node|*Readiness Gates",
        "nodes" => {
            "Name|Status|Roles|Age|Version|*Internal-IP|*External-IP|*OS-Image|*Kernel-Version|*Container-Runtime"
        }
        "namespaces" => "Name|Status|Age",
        "configmaps" => "Name|Data#|Age",
        "secrets" => "Name|Type|Data#|Age",
        "serviceaccounts" => "Name|Secrets#|Age",
        "events" => "Last Seen|Type|Reason|Object|*Subobject|*Source|Message|*First Seen|*Count#|*Name",
        "leases" => "Name|Holder|Age",
        "certificatesigningrequests" => "Name|Age|SignerName|Requestor|RequestedDuration|Condition",
        "priorityclasses" => "Name|Value#|Global-Default?|Age",
        "runtimeclasses" => "Name|Handler|Age",
        "componentstatuses" => "Name|Status|Message|Error",
        "resourcequotas" => "Name|Request|Limit|Age",
        "apiservices" => "Name|Service|Available|Age",
        "webhooks" => "Name|Webhooks#|Age",
        "created" => "Name|Created At@",
        "bindings" => "Name|Role|Age|*Users|*Groups|*ServiceAccounts",
        "deployments" => "Name|Ready|Up-to-date|Available|Age|*Containers|*Images|*Selector",
        "replicas" => "Name|Desired#|Current#|Ready#|Age|*Containers|*Images|*Selector",
        "statefulsets" => "Name|Ready|Age|*Containers|*Images",
        "daemonsets" => {
            "Name|Desired#|Current#|Ready#|Up-to-date#|Available#|Node Selector|Age|*Containers|*Images|*Selector"
        }
        "jobs" => "Name|Status|Completions|Duration|Age|*Containers|*Images|*Selector",
        "cronjobs" => "Name|Schedule|Timezone|Suspend|Active#|Last Schedule|Age|*Containers|*Images|*Selector",
        "controllerrevisions" => "Name|Controller|Revision|Age",
        "podtemplates" => "Name|Containers|Images|Pod Labels",
        "horizontalpodautoscalers" => "Name|Reference|Targets|MinPods|MaxPods|Replicas|Age",
        "poddisruptionbudgets" => "Name|Min Available|Max Unavailable|Allowed Disruptions#|Age",
        "services" => "Name|Type|Cluster-IP|External-IP|Port(s)|Age|*Selector",
        "endpoints" => "Name|Endpoints|Age",
        "endpointslices" => "Name|AddressType|Ports|Endpoints|Age",
        "ingresses" => "Name|Class|Hosts|Address|Ports|Age",
        "ingressclasses" => "Name|Controller|Parameters|Age",
        "networkpolicies" => "Name|Pod-Selector|Age",
        "persistentvolumes" => {
            "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|*VolumeMode"
        }
        "persistentvolumeclaims" => {
            "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|*VolumeMode"
        }
        "storageclasses" => "Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion?|Age",
        "volumeattachments" => "Name|Attacher|PV|Node|Attached?|Age",
        "csidrivers" => {
            "Name|AttachRequired?|PodInfoOnMount?|StorageCapacity?|TokenRequests|RequiresRepublish|Modes|Age"
        }
        "csinodes" => "Name|Drivers#|Age",
        "csistoragecapacities" => "Name|StorageClassName|Capacity",
        _ => "Name|Age",
    }
}
