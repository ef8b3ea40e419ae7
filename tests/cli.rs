//! The command line as a user meets it: the real binary, its text and its exit codes. Needs no root and no network.

use assert_cmd::Command;

/// The binary, with an environment that cannot change its answers.
fn keadm(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keadm"));
    command.args(arguments).env_remove("KEADM_TOKEN").env_remove("KUBECONFIG").env("NO_COLOR", "1");
    command
}

fn stdout(arguments: &[&str]) -> String {
    let output = keadm(arguments).output().expect("runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn failure(arguments: &[&str], code: i32) -> String {
    let output = keadm(arguments).output().expect("runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "stdout is for data");
    text
}

#[test]
fn help_names_every_command_and_goes_to_stdout() {
    let help = stdout(&["--help"]);
    for command in ["init", "join", "gettoken", "reset", "certgen", "debug", "version", "completion"] {
        assert!(help.contains(&format!("\n  {command}")), "{command} is not in\n{help}");
    }
}

#[test]
fn a_join_without_its_required_flag_says_which() {
    let text = failure(&["join"], 2);
    assert!(text.contains("--cloudcore-ipport <HOST:PORT>"), "{text}");
}

#[test]
fn a_misspelt_flag_is_corrected() {
    let text = failure(&["join", "--cloudcore-ip-port=1.2.3.4:10000"], 2);
    assert!(text.contains("--cloudcore-ipport"), "{text}");
}

#[test]
fn a_join_with_a_bad_address_leaves_with_a_fix() {
    let text = failure(&["join", "--cloudcore-ipport=nowhere", "-i", "n1", "--token", "x"], 3);
    assert_eq!(
        text,
        "error: cannot join nowhere\n\
         cause: \"nowhere\" is not HOST:PORT\n  \
         fix: pass --cloudcore-ipport=IP:10000, or [IPv6]:10000  [ServerAddress]\n"
    );
}

#[test]
fn a_token_is_never_printed() {
    let text = failure(&["join", "--cloudcore-ipport=x", "--token", "very.secret.token.text"], 3);
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn versions_come_in_every_format() {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&["version", "-o", "short"]), format!("{version}\n"));
    assert!(stdout(&["version"]).contains(&format!("GitVersion:\"{version}\"")));
    let json: serde_json::Value = serde_json::from_str(&stdout(&["version", "-o", "json"])).expect("json");
    assert_eq!(json["gitVersion"], version);
    assert!(stdout(&["version", "-o", "yaml"]).contains(&format!("gitVersion: {version}\n")));
    assert!(failure(&["version", "-o", "xml"], 2).contains("invalid output format: xml"));
}

#[test]
fn components_print_their_configurations_without_touching_anything() {
    for component in ["cloudcore", "edgecore"] {
        for flag in ["--defaultconfig", "--minconfig=true"] {
            let text = stdout(&[component, flag]);
            let lines: Vec<_> = text.lines().collect();
            assert!(lines[..3].iter().all(|line| line.starts_with('#')) && lines[3].is_empty());
            assert!(text.ends_with("\n\n\n"));
            assert!(text.contains(&format!("apiVersion: {component}.config.kubeedge.io/")));
        }
        assert_eq!(stdout(&[component, "--version"]), concat!("KubeEdge v", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn a_component_is_chosen_by_the_name_it_is_called_under() {
    let dir = tempfile::tempdir().expect("tempdir");
    let link = dir.path().join("edgecore");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_keadm"), &link).expect("links");
    let output = Command::new(&link).arg("--minconfig").output().expect("runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("kind: EdgeCore"));
}

#[test]
fn a_component_without_its_file_says_what_to_do() {
    let text = failure(&["edgecore", "--config=/nonexistent/edgecore.yaml"], 1);
    assert!(text.contains("config file /nonexistent/edgecore.yaml not exist"), "{text}");
    assert!(text.contains("--minconfig and --defaultconfig"), "{text}");
}

#[test]
fn a_component_reports_every_mistake_of_its_file_at_once() {
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("edgecore.yaml");
    std::fs::write(&file, "modules:\n  edgeHub: {heartbeat: x}\n  eventBus: {mqttMode: 900}\n").expect("writes");
    let text = failure(&["edgecore", "--config", file.to_str().expect("path")], 1);
    assert!(text.contains("modules.edgeHub.heartbeat") && text.contains("modules.eventBus.mqttMode"), "{text}");
}

#[test]
fn unknown_flags_of_components_end_with_code_1() {
    assert!(failure(&["cloudcore", "--nonsense"], 1).contains("--nonsense"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(stdout(&["completion", shell]).contains("cloudcore-ipport"), "{shell}");
    }
}

#[test]
fn certgen_makes_a_certificate_signed_by_the_given_authority() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (ca, certs) = (path("ca"), path("certs"));
    let arguments = ["certgen", "genCertAndKey", "edge", "192.0.2.7", "--ca-path", &ca, "--cert-path", &certs];
    stdout(&arguments);
    assert!(failure(&arguments, 1).contains("[CertgenExists]"));
    let (root, root_key) = (path("ca/rootCA.crt"), path("ca/rootCA.key"));
    stdout(&[
        "certgen",
        "stream",
        "--ca-path",
        &ca,
        "--cert-path",
        &certs,
        "--k8s-ca",
        &root,
        "--k8s-ca-key",
        &root_key,
        "--ips",
        "192.0.2.7 192.0.2.8",
    ]);
    for file in ["certs/edge.crt", "certs/edge.key", "certs/stream.crt", "certs/stream.key", "ca/streamCA.crt"] {
        assert!(std::fs::read_to_string(path(file)).expect(file).starts_with("-----BEGIN "), "{file}");
    }
}
