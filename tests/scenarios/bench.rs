//! Numbers, printed beside what the Go peer needs on this kind of machine.
//!
//! Run by `make bench-first-light` and `make bench-footprint`; limits are asserted by the scenarios proper.

use std::fs;
use std::time::{Duration, Instant};

use crate::host::{Host, Init};
use crate::site::{Cloud, RUNNING, Site, pod};

/// How many pods are applied one after another.
const PODS: usize = 20;
/// How long an idle edge is watched.
const IDLE: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs: root, containerd"]
fn first_light() {
    let mut site = Site::new(Cloud::Embedded);
    site.host("cloud6", Init::Plain);
    site.host("edge6", Init::Plain);
    site.init(0);
    let ready = site.join(1, 0);

    let mut times: Vec<Duration> = (0..PODS)
        .map(|number| {
            let name = format!("bench{number}");
            let start = Instant::now();
            site.at(0).apply(&pod(&name, "edge6", false));
            site.pod_is_running(0, &name, RUNNING);
            start.elapsed()
        })
        .collect();
    times.sort();

    let edge = site.at(1);
    let pid = host_pid(edge, "edgecore");
    // Let the last status reports settle before idleness is measured.
    std::thread::sleep(Duration::from_secs(5));
    let (cpu, written) = (cpu_time(pid), written_bytes(pid));
    std::thread::sleep(IDLE);
    let busy = cpu_time(pid).saturating_sub(cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let kilobytes = u32::try_from((written_bytes(pid) - written) / 1000).expect("an idle edge writes little");
    let written = f64::from(kilobytes) / 1e3 * 60.0 / IDLE.as_secs_f64();

    println!("| what | keadm | Go peer |");
    println!("|---|---|---|");
    println!("| join → node Ready (keadm: from the start of the command) | {ready:.2?} | 0.79 s from start |");
    println!("| apply → Running, p50 | {:.0?} | 782 ms |", times[PODS / 2]);
    println!("| apply → Running, max | {:.0?} | 1.4 s |", times[PODS - 1]);
    println!("| idle CPU with {PODS} pods | {busy:.2} % of a core | 2.4 % |");
    println!("| written a minute with {PODS} pods | {written:.2} MB | 11 MB |");
    println!("| edgecore resident with {PODS} pods | {:.1} MB | 103 MB |", resident(pid));
    assert!(busy < 2.4 && written < 11.0 && times[PODS / 2] < Duration::from_millis(782));
}

#[test]
#[ignore = "needs: root, containerd"]
fn footprint() {
    let site = Site::two_hosts(Cloud::Embedded, "cloud7", "edge7", Init::Plain);
    std::thread::sleep(Duration::from_secs(20));
    let edge = resident(host_pid(site.at(1), "edgecore"));
    let cloud = resident(host_pid(site.at(0), "cloudcore"));
    println!("| idle resident memory | keadm | limit | Go peer |");
    println!("|---|---|---|---|");
    println!("| edgecore | {edge:.1} MB | 15 MB | 82–86 MB |");
    println!("| cloudcore with its control plane | {cloud:.1} MB | 40 MB | over 600 MB |");
    assert!(edge <= 15.0, "edgecore holds {edge:.1} MB");
    assert!(cloud <= 40.0, "cloudcore holds {cloud:.1} MB");
}

/// The pid, as this machine counts, of the host's process that runs longest under that name.
fn host_pid(host: &Host, name: &str) -> u32 {
    let inside = host.pids(name);
    let namespace = fs::read_link(host.pid_namespace()).expect("the host runs");
    let mut found: Vec<u32> = fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|link| link == namespace))
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name))
        .collect();
    found.sort_unstable();
    assert_eq!(found.len(), inside.len());
    // The daemon itself, not what supervises it, is the youngest.
    *found.last().expect("the process runs")
}

/// Resident memory, megabytes (10^6 bytes).
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel reports it");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    kib * 1024.0 / 1e6
}

/// Processor time used so far.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("a stat line").split(' ').collect();
    let ticks: u64 = fields[11..=12].iter().map(|word| word.parse::<u64>().expect("a number")).sum();
    // USER_HZ is 100 on every Linux that Rust runs on.
    Duration::from_millis(ticks * 10)
}

/// Bytes sent to storage so far.
fn written_bytes(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("the process runs");
    let line = io.lines().find(|line| line.starts_with("write_bytes:")).expect("the kernel reports it");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}
