//! Whether a pod fits a node, why not, and which node fits best. Pure. Source: spec 10 §11.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::facts::{Amounts, NodeFacts, NodeSelectorTerm, PodFacts, Requirement, Taint};

/// The taint that stands for `spec.unschedulable`.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// What pods already take of a node.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// Sum of requests.
    pub amounts: Amounts,
    /// Taken host ports, `protocol/port`, with how many pods hold each.
    pub host_ports: BTreeMap<String, u32>,
}

/// Why a pod cannot run on a node: the texts that `kubectl describe` shows, for this one node.
pub fn refusals(pod: &PodFacts, node: &NodeFacts, used: &Used) -> Vec<String> {
    let tolerated = |taint: &Taint| pod.tolerations.iter().any(|toleration| toleration.covers(taint));
    let cordon = Taint { key: UNSCHEDULABLE.into(), value: String::new(), effect: "NoSchedule".into() };
    if node.unschedulable && !tolerated(&cordon) {
        return vec!["node(s) were unschedulable".to_owned()];
    }
    let hard = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    if let Some(taint) = node.taints.iter().filter(hard).find(|taint| !tolerated(taint)) {
        return vec![format!("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value)];
    }
    if !selected(pod, node) {
        return vec!["node(s) didn't match Pod's node affinity/selector".to_owned()];
    }
    if pod.host_ports.iter().any(|port| used.host_ports.contains_key(port)) {
        return vec!["node(s) didn't have free ports for the requested pod ports".to_owned()];
    }
    let short = |(resource, asked): (&String, &i64)| {
        let taken = used.amounts.get(resource).copied().unwrap_or_default();
        let free = node.allocatable.get(resource).copied().unwrap_or_default().saturating_sub(taken);
        (*asked > 0 && *asked > free).then(|| match resource.as_str() {
            "pods" => "Too many pods".to_owned(),
            other => format!("Insufficient {other}"),
        })
    };
    let lacking: Vec<String> = pod.requests.iter().filter_map(short).collect();
    if lacking.is_empty() && !node.ready {
        // The taints of the node lifecycle say so too, a moment later.
        return vec!["node(s) were not ready".to_owned()];
    }
    lacking
}

fn selected(pod: &PodFacts, node: &NodeFacts) -> bool {
    pod.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value))
        && (pod.affinity.is_empty() || pod.affinity.iter().any(|term| matches_term(term, node)))
}

fn matches_term(term: &NodeSelectorTerm, node: &NodeFacts) -> bool {
    let fields = BTreeMap::from([("metadata.name".to_owned(), node.name.clone())]);
    // A term without any requirement matches nothing.
    !(term.match_expressions.is_empty() && term.match_fields.is_empty())
        && term.match_expressions.iter().all(|requirement| meets(requirement, &node.labels))
        && term.match_fields.iter().all(|requirement| meets(requirement, &fields))
}

fn meets(requirement: &Requirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let listed = |value: &String| requirement.values.contains(value);
    let compared = |test: fn(i64, i64) -> bool| {
        let limit = requirement.values.first().and_then(|text| text.parse().ok());
        let number = value.and_then(|text| text.parse().ok());
        number.zip(limit).is_some_and(|(number, limit)| test(number, limit))
    };
    match requirement.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(|number, limit| number > limit),
        "Lt" => compared(|number, limit| number < limit),
        _ => false,
    }
}

/// How well a pod fits a node that takes it; higher is better. LeastAllocated, and fewer PreferNoSchedule taints.
pub fn score(pod: &PodFacts, node: &NodeFacts, used: &Used) -> i64 {
    let free_share = |resource: &str| {
        let total = node.allocatable.get(resource).copied().unwrap_or_default();
        let asked = pod.requests.get(resource).copied().unwrap_or_default();
        let taken = used.amounts.get(resource).copied().unwrap_or_default().saturating_add(asked);
        if total <= 0 { 0 } else { total.saturating_sub(taken).max(0).saturating_mul(100) / total }
    };
    let soft = |taint: &&Taint| taint.effect == "PreferNoSchedule";
    let disliked = node.taints.iter().filter(soft).filter(|taint| !pod.tolerations.iter().any(|t| t.covers(taint)));
    let avoided = i64::try_from(disliked.count()).unwrap_or(i64::MAX);
    (free_share("cpu") + free_share("memory") + free_share("pods")) / 3 - 300_i64.saturating_mul(avoided)
}

/// The one line that says why no node took a pod: `0/3 nodes are available: 1 Insufficient cpu, 2 …`.
pub fn explain(nodes: usize, refusals: &BTreeMap<String, usize>) -> String {
    let mut text = format!("0/{nodes} nodes are available");
    let mut separator = ": ";
    for (reason, count) in refusals {
        let _ = write!(text, "{separator}{count} {reason}");
        separator = ", ";
    }
    text.push('.');
    text
}

#[cfg(test)]
mod tests {
    use super::super::facts;
    use super::*;

    fn node(extra: &str) -> NodeFacts {
        let text = format!(
            r#"{{"metadata":{{"name":"edge1","labels":{{"zone":"a","size":"5"}}}},"spec":{{{extra}}},"status":{{
                "allocatable":{{"cpu":"2","memory":"1Gi","pods":"2"}},"conditions":[{{"type":"Ready","status":"True"}}]}}}}"#
        );
        facts::node(text.as_bytes()).expect("a node")
    }

    fn pod(spec: &str) -> PodFacts {
        facts::pod(format!(r#"{{"metadata":{{"name":"p"}},"spec":{{{spec}}}}}"#).as_bytes()).expect("a pod")
    }

    fn check(spec: &str, node_spec: &str, expected: &[&str]) {
        assert_eq!(refusals(&pod(spec), &node(node_spec), &Used::default()), expected, "{spec} on {node_spec}");
    }

    #[test]
    fn filters_say_why() {
        let cpu = |amount: &str| format!(r#""containers":[{{"resources":{{"requests":{{"cpu":"{amount}"}}}}}}]"#);
        check("", "", &[]);
        check(&cpu("2"), "", &[]);
        check(&cpu("2001m"), "", &["Insufficient cpu"]);
        check("", r#""unschedulable":true"#, &["node(s) were unschedulable"]);
        check(r#""nodeSelector":{"zone":"a"}"#, "", &[]);
        check(r#""nodeSelector":{"zone":"b"}"#, "", &["node(s) didn't match Pod's node affinity/selector"]);
        let tainted = r#""taints":[{"key":"node-role.kubernetes.io/edge","effect":"NoSchedule"}]"#;
        check("", tainted, &["node(s) had untolerated taint {node-role.kubernetes.io/edge: }"]);
        check(r#""tolerations":[{"operator":"Exists"}]"#, tainted, &[]);
        check(r#""tolerations":[{"key":"node-role.kubernetes.io/edge","effect":"NoSchedule"}]"#, tainted, &[]);
        check("", r#""taints":[{"key":"k","effect":"PreferNoSchedule"}]"#, &[]);
    }

    #[test]
    fn affinity_terms_are_alternatives_of_conjunctions() {
        let affinity = |terms: &str| {
            format!(
                r#""affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":{{"nodeSelectorTerms":{terms}}}}}}}"#
            )
        };
        let no = ["node(s) didn't match Pod's node affinity/selector"];
        check(&affinity(r#"[{"matchExpressions":[{"key":"zone","operator":"In","values":["a","b"]}]}]"#), "", &[]);
        check(&affinity(r#"[{"matchExpressions":[{"key":"zone","operator":"NotIn","values":["a"]}]}]"#), "", &no);
        check(
            &affinity(
                r#"[{"matchExpressions":[{"key":"x","operator":"Exists"}]},{"matchFields":[{"key":"metadata.name","operator":"In","values":["edge1"]}]}]"#,
            ),
            "",
            &[],
        );
        check(&affinity(r#"[{"matchExpressions":[{"key":"size","operator":"Gt","values":["4"]}]}]"#), "", &[]);
        check(&affinity(r#"[{"matchExpressions":[{"key":"size","operator":"Lt","values":["5"]}]}]"#), "", &no);
        check(&affinity("[{}]"), "", &no);
    }

    #[test]
    fn what_is_used_counts() {
        let mut used = Used::default();
        facts::add(&mut used.amounts, &Amounts::from([("pods".to_owned(), 2)]));
        assert_eq!(refusals(&pod(""), &node(""), &used), ["Too many pods"]);
        let mut used = Used::default();
        used.host_ports.insert("TCP/80".to_owned(), 1);
        let ports = r#""containers":[{"ports":[{"hostPort":80,"protocol":"TCP"}]}]"#;
        assert_eq!(refusals(&pod(ports), &node(""), &used).len(), 1);
    }

    #[test]
    fn an_empty_node_beats_a_full_one() {
        let mut used = Used::default();
        facts::add(&mut used.amounts, &Amounts::from([("cpu".to_owned(), 1500), ("pods".to_owned(), 1)]));
        let asks = pod("");
        assert!(score(&asks, &node(""), &Used::default()) > score(&asks, &node(""), &used));
    }

    #[test]
    fn the_explanation_counts_nodes() {
        let why = BTreeMap::from([("Insufficient cpu".to_owned(), 1), ("node(s) were unschedulable".to_owned(), 2)]);
        assert_eq!(explain(3, &why), "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.");
        assert_eq!(explain(0, &BTreeMap::new()), "0/0 nodes are available.");
    }
}
