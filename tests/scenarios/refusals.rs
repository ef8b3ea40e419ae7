//! What cannot work is refused in one message with cause and next step, before the host is changed.

mod strangers;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use pki::{Authority, JoinToken, PrivateKey};

use crate::host::{Host, Init, KEADM};
use crate::process::Said;
use crate::site::{Cloud, Site};
use strangers::{Occupant, serve, serve_web};

/// Exit code of a command that was refused before anything was changed.
const PREFLIGHT: i32 = 3;
/// The limit for any refusal, whatever does not answer.
const BOUNDED: Duration = Duration::from_secs(25);

#[test]
#[ignore = "needs: root, containerd"]
fn a_host_that_cannot_join_is_told_why_and_stays_as_it_was() {
    let mut site = Site::new(Cloud::Embedded);
    for name in ["c10", "e10", "e11"] {
        site.host(name, Init::Plain);
    }
    site.init(0);
    site.join(2, 0);

    tokens_that_are_not_good(&site);
    clouds_that_are_not_there(&site);
    things_that_are_not_cloudcore(&site);
    a_node_name_that_is_taken(&site);
    a_port_that_is_taken(&site);
    an_operator_without_rights(&site);
    a_runtime_that_is_not_there(&mut site);
    an_address_that_the_certificate_does_not_name(&site);
}

#[test]
#[ignore = "needs: root, containerd"]
fn a_cloud_whose_ports_are_taken_is_not_set_up() {
    let mut site = Site::new(Cloud::Embedded);
    site.host("c11", Init::Plain);
    let cloud = site.at(0);
    let address = format!("--advertise-address={}", cloud.address);
    for port in [10000, 10002, 6443] {
        let occupant = Occupant::new(cloud, port);
        let says = [format!("port {port} is in use by systemd-socket"), format!("listens on port {port}")];
        refused(cloud, &format!("init: {port} taken"), &["init", &address], "Port", &[&says[0], &says[1]]);
        drop(occupant);
    }

    let before = cloud.footprint();
    let said = cloud.run(&[&UNPRIVILEGED[..], &[KEADM, "init", &address]].concat());
    check_message("init: not root", &said, "NotRoot", &["does not run as root"]);
    untouched(cloud, &before);

    // With the ports free again the same command works: nothing was left in its way.
    site.init(0);
}

/// A program that runs another as user nobody.
const UNPRIVILEGED: [&str; 4] = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

fn tokens_that_are_not_good(site: &Site) {
    let edge = site.at(1);
    let good = site.token(0);
    let ours = authority_of(site.at(0));
    let other = Authority::generate("KubeEdge", 1024, 36400, Timestamp::now()).expect("a CA");
    let (tomorrow, an_hour_ago) =
        (Timestamp::now() + SignedDuration::from_hours(24), Timestamp::now() - SignedDuration::from_mins(61));
    let (cut, _) = good.rsplit_once('.').expect("a token has dots");
    let expired = JoinToken::issue(&ours, an_hour_ago);
    let foreign = JoinToken::issue(&other, tomorrow);
    let forged = format!("{}.{}", JoinToken::issue(&ours, tomorrow).ca_hash(), foreign.bearer());
    let gettoken = "keadm gettoken";
    for (what, token, id, says) in [
        ("malformed token", "not-a-token", "TokenFormat", &["paste it as one line"][..]),
        ("token cut short", cut, "TokenFormat", &["3 dot-separated parts", "paste it as one line"]),
        ("expired token", expired.as_str(), "TokenExpired", &["1 h 1 min ago", gettoken]),
        ("token of another cloud", foreign.as_str(), "TokenCAMismatch", &[other_hash(&other).as_str(), gettoken]),
        ("forged token", &forged, "TokenRefused", &["signature is invalid", gettoken]),
    ] {
        let said = refused(edge, what, &join_args(site, &["--token", token]), id, says);
        assert!(token.len() < 80 || !said.err.contains(token), "{what}: the message shows the token");
    }
}

fn clouds_that_are_not_there(site: &Site) {
    let (edge, token) = (site.at(1), site.token(0));
    // A host that is there for ARP and drops everything, as behind a firewall.
    let silent = format!("{}9", edge.address);
    let neighbour = ["lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", "host0"];
    edge.run(&[&["/usr/bin/ip", "neigh", "add", &silent][..], &neighbour].concat()).ok();
    let firewalled = format!("{silent}:10000");
    let machine = site.machine();
    let listener = TcpListener::bind((machine.as_str(), 10002)).expect("the machine is on the site's network");
    let mute = format!("{machine}:10000");
    let before = edge.footprint();
    // They take their time: side by side.
    std::thread::scope(|scope| {
        for (address, cause) in [
            ("192.0.2.7:10000", "192.0.2.7:10002"),
            (&firewalled, "does not answer within"),
            (&mute, "does not answer within"),
        ] {
            let token = token.as_str();
            scope.spawn(move || {
                let start = Instant::now();
                let said = edge.keadm(&["join", "--cloudcore-ipport", address, "--token", token]);
                let what = format!("nobody at {address} ({:.1?})", start.elapsed());
                check_message(&what, &said, "CloudUnreachable", &[cause, "firewall"]);
                assert!(start.elapsed() < BOUNDED, "{what}");
            });
        }
    });
    drop(listener);
    untouched(edge, &before);

    let args = join_args(site, &["--token", &token]);
    edge.cut();
    refused(edge, "link cut", &args, "CloudUnreachable", &[&site.at(0).address, "firewall"]);
    edge.heal();
}

fn things_that_are_not_cloudcore(site: &Site) {
    let (edge, token, machine) = (site.at(1), site.token(0), site.machine());
    let banner = serve(&machine, |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
        let _ = stream.read(&mut [0; 512]);
    });
    let hang_up = serve(&machine, drop);
    let web = serve_web(&machine);
    for (what, port, id, says) in [
        ("a listener with a banner", banner, "NotCloudcore", "does not speak TLS"),
        ("a listener that hangs up", hang_up, "NotCloudcore", "does not speak HTTPS"),
        ("a web server", web, "NotCloudcore", "is not cloudcore"),
    ] {
        let address = format!("{machine}:{port}");
        let (certport, ipport) = (format!("--certport={port}"), format!("--cloudcore-ipport={address}"));
        let args = ["join", &ipport, &certport, "--token", &token];
        refused(edge, what, &args, id, &[&address, says]);
    }

    // The right cloud, but another of its ports.
    let cloud = &site.at(0).address;
    let says = ["is not cloudcore", "--certport"];
    let args = join_args(site, &["--token", &token, "--certport=6443"]);
    refused(edge, "API server's port as certificate port", &args, "NotCloudcore", &says);
    for (port, id, says) in [
        (6443, "CloudAuthority", "is the port in --cloudcore-ipport the hub's"),
        (10002, "NotCloudcore", "check --cloudcore-ipport"),
        (10001, "CloudUnreachable", "firewall let port 10001"),
    ] {
        let hub = format!("--cloudcore-ipport={cloud}:{port}");
        let args = ["join", &hub, "--edgenode-name=e10", "--timeout=10", "--token", &token];
        refused(edge, &format!("{port} as hub port"), &args, id, &[&format!("{cloud}:{port}"), says]);
    }
}

fn a_node_name_that_is_taken(site: &Site) {
    let uid = |site: &Site| site.at(0).kubectl(&["get", "node", "e11", "-o", "jsonpath={.metadata.uid}"]).ok();
    let (owner, token) = (uid(site), site.token(0));
    let args = join_args(site, &["--token", &token, "--edgenode-name=e11"]);
    let says = ["a node named e11 already exists", "--edgenode-name", "kubectl delete node e11"];
    refused(site.at(1), "node name taken", &args, "NodeExists", &says);
    assert_eq!(uid(site), owner);
    site.node_is_ready(0, "e11", Duration::from_secs(1));
}

fn a_port_that_is_taken(site: &Site) {
    let (edge, token) = (site.at(1), site.token(0));
    let occupant = Occupant::new(edge, 10350);
    let says = ["port 10350 is in use by systemd-socket", "listens on port 10350"];
    refused(edge, "join: 10350 taken", &join_args(site, &["--token", &token]), "Port", &says);
    drop(occupant);
}

fn an_operator_without_rights(site: &Site) {
    let (edge, token) = (site.at(1), site.token(0));
    let before = edge.footprint();
    let args = join_args(site, &["--token", &token]);
    let said = edge.run(&[&UNPRIVILEGED[..], &[KEADM], &args.iter().map(AsRef::as_ref).collect::<Vec<_>>()].concat());
    check_message("join: not root", &said, "NotRoot", &["does not run as root", "sudo"]);
    untouched(edge, &before);
}

fn a_runtime_that_is_not_there(site: &mut Site) {
    let token = site.token(0);
    site.at_mut(1).stop_containerd();
    let args = join_args(site, &["--token", &token]);
    let edge = site.at(1);
    refused(edge, "containerd stopped", &args, "RuntimeEndpoint", &["containerd.sock", "is it running?"]);
    edge.run(&["/usr/bin/rm", "-rf", "/run/containerd"]).ok();
    refused(
        edge,
        "no container runtime",
        &args,
        "RuntimeEndpoint",
        &["no container runtime was found", "install containerd"],
    );
    site.at_mut(1).start_containerd();
}

/// The cloud is told of its second address exactly as the message says, and the same join works.
fn an_address_that_the_certificate_does_not_name(site: &Site) {
    let (cloud, edge, token) = (site.at(0), site.at(1), site.token(0));
    let first = cloud.address.as_str();
    let second = format!("{first}0");
    cloud.run(&["/usr/bin/ip", "addr", "add", &format!("{second}/24"), "dev", "host0"]).ok();
    let hub = format!("--cloudcore-ipport={second}:10000");
    let args = ["join", &hub, "--edgenode-name=e10", "--token", &token];
    let advice = format!("keadm init --advertise-address={first},{second}");
    let says = [&format!("not valid for the dialled address {second}"), first, &advice];
    let said = refused(edge, "address not in the certificate", &args, "CertificateNames", &says);

    let fix = said.err.lines().find(|line| line.starts_with("  fix: ")).expect("checked");
    let flag = fix.split(['`', ' ']).find(|word| word.starts_with("--advertise-address=")).expect("checked");
    cloud.keadm(&["init", flag]).ok();
    edge.keadm(&args).ok();
    site.node_is_ready(0, "e10", crate::site::READY);
}

/// The arguments of a join that works, followed by others that win.
fn join_args<'a>(site: &Site, more: &[&'a str]) -> Vec<Cow<'a, str>> {
    let mut args = vec!["join".into(), format!("--cloudcore-ipport={}:10000", site.at(0).address).into()];
    if !more.iter().any(|arg| arg.starts_with("--edgenode-name")) {
        args.push("--edgenode-name=e10".into());
    }
    args.extend(more.iter().map(|arg| Cow::from(*arg)));
    args
}

/// Runs keadm, which must refuse in time with one message, and compares the host.
fn refused<S: AsRef<str>>(host: &Host, what: &str, args: &[S], id: &str, says: &[&str]) -> Said {
    let before = host.footprint();
    let start = Instant::now();
    let said = host.keadm(&args.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    let took = start.elapsed();
    check_message(&format!("{what} ({took:.1?})"), &said, id, says);
    assert!(took < BOUNDED, "{what}: refused after {took:?}");
    untouched(host, &before);
    said
}

fn check_message(what: &str, said: &Said, id: &str, says: &[&str]) {
    println!("--- {what}, exit {}\n{}", said.code, said.err);
    assert_eq!(said.code, PREFLIGHT, "{what}");
    assert_eq!(said.out, "", "{what}: refusals belong on stderr");
    for part in ["error: ", "cause: ", "  fix: "] {
        let found = said.err.lines().filter(|line| line.starts_with(part)).count();
        assert_eq!(found, 1, "{what}: {found} lines with {part:?}");
    }
    assert!(said.err.trim_end().ends_with(&format!("[{id}]")), "{what}: not {id}");
    for text in says {
        assert!(said.err.contains(text), "{what}: does not say {text:?}");
    }
    for raw in ["panicked", "Os {", "Error(", "Custom {"] {
        assert!(!said.err.contains(raw), "{what}: shows its inside: {raw:?}");
    }
}

fn untouched(host: &Host, before: &BTreeSet<String>) {
    let after = host.footprint();
    let changed: Vec<_> = after.symmetric_difference(before).collect();
    assert!(changed.is_empty(), "{} is not as it was: {changed:?}", host.name);
}

/// The cloud's own certificate authority, for tokens that it never issued.
fn authority_of(cloud: &Host) -> Authority {
    let part = |key: &str| {
        let path = format!("jsonpath={{.data.{key}}}");
        let text = cloud.kubectl(&["get", "secret", "-n", "kubeedge", "casecret", "-o", &path]).ok();
        STANDARD.decode(text).expect("base64")
    };
    let key = PrivateKey::from_any_der(&part("cakeydata")).expect("a key");
    Authority::from_der(&part("cadata"), key).expect("the CA")
}

fn other_hash(authority: &Authority) -> String {
    pki::sha256_hex(authority.cert_der())
}
