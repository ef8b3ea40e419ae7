//! What this machine is: identity, size, file systems. Read from `/proc`, `/sys` and `/etc`, no program is run.
//!
//! Source: spec 08 §13.2.

pub mod addresses;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::sys::utsname::uname;

use crate::cgroups::usage::Usage;
use crate::doors::Settings;
use crate::facts::NodeResources;
use crate::quantity::Amount;

/// Facts that stay the same while the machine is up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// UUID of the firmware, or the machine ID where there is none.
    pub system_uuid: String,
    /// Changes with each boot.
    pub boot_id: String,
    /// Kernel release.
    pub kernel_version: String,
    /// `PRETTY_NAME` of the distribution.
    pub os_image: String,
    /// Go's name of the architecture: `amd64`, `arm64`, `arm`, ….
    pub architecture: &'static str,
    /// CPUs that are online.
    pub cpus: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of huge pages by resource name, `hugepages-2Mi`.
    pub hugepages: BTreeMap<String, u64>,
}

impl HostFacts {
    /// Reads the machine this runs on.
    pub fn read() -> Self {
        Self::read_below(Path::new("/"))
    }

    /// Reads a machine whose root directory is `root`. What cannot be read stays empty.
    pub fn read_below(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default().trim().to_owned();
        let first = |paths: &[&str]| paths.iter().map(|path| text(path)).find(|t| !t.is_empty()).unwrap_or_default();
        let machine_id = first(&["etc/machine-id", "var/lib/dbus/machine-id"]);
        let firmware = first(&["sys/class/dmi/id/product_uuid", "sys/firmware/devicetree/base/vm,uuid"]);
        let os_release = first(&["etc/os-release", "usr/lib/os-release"]);
        let online = count_cpus(&text("sys/devices/system/cpu/online"));
        let cpus = online.or_else(|| std::thread::available_parallelism().ok().map(|n| n.get() as u64)).unwrap_or(1);
        Self {
            system_uuid: if firmware.is_empty() { machine_id.clone() } else { firmware },
            machine_id,
            boot_id: text("proc/sys/kernel/random/boot_id"),
            kernel_version: uname().map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default(),
            os_image: pretty_name(&os_release),
            architecture: go_architecture(std::env::consts::ARCH),
            cpus,
            memory: mem_total(&text("proc/meminfo")),
            hugepages: hugepages(&root.join("sys/kernel/mm/hugepages")),
        }
    }
}

/// Bytes of the file system that holds `path`, or its nearest existing parent; 0 if nothing can be learnt.
pub fn filesystem_capacity(path: &Path) -> u64 {
    let found = path.ancestors().find_map(|dir| statvfs(dir).ok());
    found.map_or(0, |fs| fs.blocks().saturating_mul(fs.fragment_size()))
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilesystemUsage {
    /// Bytes.
    pub capacity: u64,
    /// Bytes that ordinary users may still write.
    pub available: u64,
    /// Bytes.
    pub used: u64,
    /// Inodes.
    pub inodes: u64,
    /// Inodes not in use.
    pub inodes_free: u64,
}

/// How full the file system of `path` is; zeros if it cannot be asked.
pub fn filesystem_usage(path: &Path) -> FilesystemUsage {
    let Ok(fs) = statvfs(path) else { return FilesystemUsage::default() };
    let bytes = |blocks: u64| blocks.saturating_mul(fs.fragment_size());
    FilesystemUsage {
        capacity: bytes(fs.blocks()),
        available: bytes(fs.blocks_available()),
        used: bytes(fs.blocks().saturating_sub(fs.blocks_free())),
        inodes: fs.files(),
        inodes_free: fs.files_free(),
    }
}

/// What the whole machine uses, from `/proc`; `None` if it cannot be read.
pub fn node_usage() -> Option<Usage> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    usage_of(&stat, &meminfo)
}

/// Nanoseconds of one tick of `/proc/stat` (100 a second on Linux).
const TICK_NANOS: u64 = 10_000_000;

fn usage_of(stat: &str, meminfo: &str) -> Option<Usage> {
    // user nice system idle iowait irq softirq steal: all but idle and iowait is use.
    let ticks = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().take(8).enumerate();
    let busy = ticks.filter(|(column, _)| !matches!(column, 3 | 4)).filter_map(|(_, text)| text.parse::<u64>().ok());
    let bytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let total = bytes("MemTotal");
    let used = total.saturating_sub(bytes("MemFree"));
    Some(Usage {
        cpu_nanos: busy.sum::<u64>().saturating_mul(TICK_NANOS),
        memory: used,
        working_set: used.saturating_sub(bytes("Inactive(file)")),
        rss: bytes("AnonPages"),
        memory_limit: Some(total),
    })
}

/// Capacity and what of it pods may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeSize {
    /// Cores in thousandths, memory and disk in bytes, before reservations.
    pub capacity: NodeResources,
    /// The same after reservations.
    pub allocatable: NodeResources,
    /// Most pods.
    pub pods: u64,
}

impl NodeSize {
    /// Allocatable = capacity − system reserve − agent reserve − hard eviction threshold. Source: spec 08 §13.2.
    pub fn new(host: &HostFacts, settings: &Settings) -> Self {
        let capacity = NodeResources {
            cpu_milli: host.cpus * 1000,
            memory: host.memory,
            ephemeral_storage: filesystem_capacity(&settings.root_dir),
            memory_capacity: host.memory,
        };
        let reserved = |name: &str| {
            let of = |map: &BTreeMap<String, String>| map.get(name).and_then(|text| Amount::parse(text).ok());
            let amounts = [of(&settings.system_reserved), of(&settings.kube_reserved)];
            amounts.into_iter().flatten().fold(Amount::ZERO, Amount::plus)
        };
        let left = |total: u64, name: &str, signal: &str| {
            let threshold = settings.eviction_hard.get(signal).map_or(0, |text| threshold(text, total));
            total.saturating_sub(reserved(name).units()).saturating_sub(threshold)
        };
        let huge: u64 = host.hugepages.values().sum();
        let allocatable = NodeResources {
            cpu_milli: capacity.cpu_milli.saturating_sub(reserved("cpu").milli()),
            memory: left(capacity.memory, "memory", "memory.available").saturating_sub(huge),
            ephemeral_storage: left(capacity.ephemeral_storage, "ephemeral-storage", "nodefs.available"),
            memory_capacity: host.memory,
        };
        let per_core = u64::from(settings.pods_per_core) * host.cpus;
        let most = u64::from(settings.max_pods);
        let pods = if settings.pods_per_core == 0 { most } else { per_core.min(most) };
        Self { capacity, allocatable, pods }
    }
}

/// A threshold in bytes: a quantity or a part of `total` in per cent.
fn threshold(text: &str, total: u64) -> u64 {
    match text.strip_suffix('%') {
        Some(percent) => {
            // Tenths of a per cent are as fine as anyone writes it.
            let milli = Amount::parse(percent).map_or(0, Amount::milli).min(100_000);
            u64::try_from(u128::from(total) * u128::from(milli) / 100_000).unwrap_or(0)
        }
        None => Amount::parse(text).map_or(0, Amount::units),
    }
}

/// Number of CPUs in a list such as `0-3,6`.
fn count_cpus(online: &str) -> Option<u64> {
    let mut count = 0;
    for range in online.split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    (count > 0).then_some(count)
}

fn mem_total(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn pretty_name(os_release: &str) -> String {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.map_or_else(|| "Linux".to_owned(), |value| value.trim_matches(['"', '\'']).to_owned())
}

fn hugepages(dir: &Path) -> BTreeMap<String, u64> {
    let listed = fs::read_dir(dir).into_iter().flatten().flatten();
    listed.filter_map(|entry| hugepage_pool(&entry.path())).collect()
}

fn hugepage_pool(dir: &Path) -> Option<(String, u64)> {
    let kib: u64 = dir.file_name()?.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    let pages: u64 = fs::read_to_string(dir.join("nr_hugepages")).ok()?.trim().parse().ok()?;
    Some((format!("hugepages-{}", page_size(kib)), pages.saturating_mul(kib).saturating_mul(1024)))
}

fn page_size(kib: u64) -> String {
    match kib {
        kib if kib.is_multiple_of(1 << 20) => format!("{}Gi", kib >> 20),
        kib if kib.is_multiple_of(1 << 10) => format!("{}Mi", kib >> 10),
        kib => format!("{kib}Ki"),
    }
}

/// Bytes in the form reports use for huge pages: `0`, `64Mi`, `1Gi`.
pub fn hugepage_amount(bytes: u64) -> String {
    if bytes == 0 { "0".to_owned() } else { page_size(bytes / 1024) }
}

/// Rust's architecture names in Go's words, which node labels use.
fn go_architecture(rust: &'static str) -> &'static str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("etc/machine-id", "0123abcd\n"),
            ("etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            ("proc/sys/kernel/random/boot_id", "b-o-o-t\n"),
            ("proc/meminfo", "MemTotal:        4194304 kB\nMemFree: 1 kB\n"),
            ("sys/devices/system/cpu/online", "0-2,5\n"),
            ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "32\n"),
            ("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_machine_is_read_from_its_files() {
        let host = HostFacts::read_below(machine().path());
        assert_eq!((host.machine_id.as_str(), host.system_uuid.as_str()), ("0123abcd", "0123abcd"));
        assert_eq!((host.boot_id.as_str(), host.os_image.as_str()), ("b-o-o-t", "Debian GNU/Linux 12 (bookworm)"));
        assert_eq!((host.cpus, host.memory), (4, 4 << 30));
        assert_eq!(host.hugepages["hugepages-2Mi"], 64 << 20);
        assert_eq!(hugepage_amount(host.hugepages["hugepages-2Mi"]), "64Mi");
        assert_eq!(hugepage_amount(host.hugepages["hugepages-1Gi"]), "0");
        assert!(!host.kernel_version.is_empty());
    }

    #[test]
    fn this_machine_can_be_read() {
        let host = HostFacts::read();
        assert!(host.cpus > 0 && host.memory > 0 && !host.boot_id.is_empty());
        assert!(filesystem_capacity(Path::new("/no/such/directory")) > 0);
    }

    #[test]
    fn use_of_the_machine_is_everything_but_idle_time_and_free_memory() {
        let stat = "cpu  1 2 3 1000 1000 4 5 6 7 8\ncpu0 1 1 1 1\n";
        let meminfo = "MemTotal: 100 kB\nMemFree: 40 kB\nInactive(file): 10 kB\nAnonPages: 5 kB\n";
        let got = usage_of(stat, meminfo).unwrap();
        assert_eq!(got.cpu_nanos, 21 * TICK_NANOS);
        assert_eq!((got.memory, got.working_set, got.rss), (60 << 10, 50 << 10, 5 << 10));
        assert!(node_usage().is_some());
    }

    #[test]
    fn allocatable_is_what_reserves_leave() {
        let host = HostFacts { cpus: 2, memory: 1 << 30, ..HostFacts::default() };
        let mut settings = Settings { pods_per_core: 10, ..Settings::default() };
        settings.system_reserved = BTreeMap::from([("cpu".to_owned(), "100m".to_owned())]);
        settings.kube_reserved = BTreeMap::from([("memory".to_owned(), "24Mi".to_owned())]);
        let size = NodeSize::new(&host, &settings);
        assert_eq!(size.allocatable.cpu_milli, 1900);
        assert_eq!(size.allocatable.memory, (1024 - 24 - 100) << 20);
        assert_eq!(size.pods, 20);
        let disk = size.capacity.ephemeral_storage;
        assert_eq!(size.allocatable.ephemeral_storage, disk - threshold("10%", disk));
    }

    #[test]
    fn thresholds_are_bytes_or_per_cent() {
        assert_eq!(threshold("10%", 1000), 100);
        assert_eq!(threshold("0.5%", 1000), 5);
        assert_eq!(threshold("100Mi", 1000), 100 << 20);
        assert_eq!(threshold("nonsense", 1000), 0);
    }

    #[test]
    fn cpu_lists_are_counted() {
        assert_eq!(count_cpus("0"), Some(1));
        assert_eq!(count_cpus("0-3,8-9"), Some(6));
        assert_eq!(count_cpus(""), None);
        assert_eq!(count_cpus("3-1"), None);
    }
}
