//! Sudden deaths under change: whatever dies and whenever, the edge ends up as the cluster wants it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::host::{Host, Init};
use crate::site::{Cloud, RUNNING, Site, config_map, pod};
use crate::wait::until;

/// How long after the last death the edge may need.
const SETTLED: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs: root, containerd"]
fn killed_at_random_moments_the_edge_ends_up_as_the_cluster_wants() {
    kills(Cloud::Embedded, 50);
}

/// `deaths` times kills cloudcore or edgecore at a random moment under a stream of pod and ConfigMap changes.
pub fn kills(kind: Cloud, deaths: u32) {
    let site = Site::two_hosts(kind, "cloud5", "edge5", Init::Plain);
    let (cloud, edge) = (site.at(0), site.at(1));
    let seed = std::env::var("KEADM_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(clock_seed);
    println!("seed {seed} (repeat with KEADM_TEST_SEED)");
    let mut random = Random(seed);

    for name in ["steady1", "steady2"] {
        cloud.apply(&config_map(&format!("{name}-config"), "steady"));
        cloud.apply(&pod(name, "edge5", true));
        site.pod_is_running(0, name, RUNNING);
    }
    let steady = edge.containers();

    let mut pods: BTreeMap<String, bool> = BTreeMap::new();
    let mut greeting = String::from("steady");
    for round in 0..deaths {
        let name = format!("p{}", random.below(6));
        // The API may be down while cloudcore (and with it the embedded control plane) restarts: say it again.
        let change = random.below(3);
        let wanted = match change {
            0 => Some(true),
            1 => Some(false),
            _ => None,
        };
        let text = match wanted {
            Some(true) => pod(&name, "edge5", false),
            Some(false) => String::new(),
            None => {
                greeting = format!("round{round}");
                config_map("steady1-config", &greeting)
            }
        };
        until("the change is accepted", Duration::from_secs(20), || {
            if wanted == Some(false) {
                cloud.kubectl(&["delete", "pod", &name, "--wait=false", "--ignore-not-found"]).result()
            } else {
                apply(cloud, &text)
            }
        });
        if let Some(wanted) = wanted {
            pods.insert(name, wanted);
        }
        std::thread::sleep(Duration::from_millis(random.below(700)));
        let (host, victim) = if random.below(2) == 0 { (cloud, "cloudcore") } else { (edge, "edgecore") };
        until("the victim is alive", Duration::from_secs(20), || {
            if host.kill(victim) > 0 { Ok(()) } else { Err(format!("no {victim} to kill")) }
        });
    }

    let expected: Vec<String> = steady
        .keys()
        .cloned()
        .chain(pods.iter().filter(|(_, wanted)| **wanted).map(|(name, _)| format!("default/{name}/main")))
        .collect();
    let ((), took) = until("edge = cluster", SETTLED, || {
        let now: Vec<String> = edge.containers().into_keys().collect();
        let (mut a, mut b) = (now.clone(), expected.clone());
        a.sort();
        b.sort();
        if a == b { Ok(()) } else { Err(format!("the edge runs {a:?}, the cluster wants {b:?}")) }
    });
    println!("settled {took:?} after the last of {deaths} deaths");
    for (name, _) in pods.iter().filter(|(_, wanted)| **wanted) {
        site.pod_is_running(0, name, SETTLED);
    }
    for (name, _) in pods.iter().filter(|(_, wanted)| !**wanted) {
        site.pod_is_gone(0, name, SETTLED);
    }
    until("the last ConfigMap is mounted", SETTLED, || {
        let text = crate::two_hosts::mounted_config(edge, "steady1");
        if text.contains(&greeting) { Ok(()) } else { Err(text) }
    });
    let now = edge.containers();
    for (name, id) in &steady {
        assert_eq!(now.get(name), Some(id), "{name} was restarted and nobody changed it");
    }
}

fn apply(cloud: &Host, manifest: &str) -> Result<String, String> {
    let path = std::env::temp_dir().join(format!("keadm-chaos-{}.yaml", std::process::id()));
    std::fs::write(&path, manifest).map_err(|error| error.to_string())?;
    cloud.kubectl(&["apply", "-f", path.to_str().expect("UTF-8")]).result()
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs())
}

/// A small xorshift generator: a printed seed repeats a run's choices.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
