use super::{Node, duration::GoDuration, host_port, is_dns1123_subdomain, nearest::nearest, node_name};

#[test]
fn durations_read_and_print_like_go() {
    for (text, printed) in [
        ("1m", "1m0s"),
        ("0", "0s"),
        ("100ms", "100ms"),
        ("4h", "4h0m0s"),
        ("1h30m", "1h30m0s"),
        ("1.5s", "1.5s"),
        ("-1s", "-1s"),
    ] {
        assert_eq!(GoDuration::parse(text).expect(text).to_string(), printed);
    }
    for text in ["", "10", "s", "1x", "1..5s", "-", ".s"] {
        assert_eq!(GoDuration::parse(text), None, "{text}");
    }
}

#[test]
fn scalars_are_quoted_only_where_they_would_change_their_type() {
    let mut map = Node::map();
    for (key, value) in [
        ("a", "0"),
        ("b", "10.0.0.1"),
        ("c", "true"),
        ("d", "15%"),
        ("e", ""),
        ("f", "a: b"),
        ("g", "-x"),
        ("h", "1e3"),
    ] {
        map.put(key, Node::Text(value.into()));
    }
    assert_eq!(map.to_yaml(), "a: \"0\"\nb: 10.0.0.1\nc: \"true\"\nd: 15%\ne: \"\"\nf: \"a: b\"\ng: -x\nh: \"1e3\"\n");
}

#[test]
fn whatever_is_printed_reads_back() {
    let text = "a:\n- b: 1\n  c:\n  - d\n  - e\n- f\nz: {}\n";
    let node = Node::parse(text).expect("yaml");
    assert_eq!(node.to_yaml(), text);
}

#[test]
fn duplicate_keys_take_the_later_value_and_empty_text_is_an_empty_mapping() {
    assert_eq!(Node::parse("a: 1\na: 2\n").expect("yaml"), Node::Map(vec![("a".into(), Node::Int(2))]));
    assert_eq!(Node::parse("").expect("yaml"), Node::map());
    assert_eq!(Node::parse("# nothing\n").expect("yaml"), Node::map());
    assert!(Node::parse("- a\n").is_err());
}

#[test]
fn names_are_suggested_when_they_are_close() {
    assert_eq!(nearest("edgehub2", &["edgeHub", "edged"]), Some("edgeHub"));
    assert_eq!(nearest("completelyDifferent", &["edgeHub", "edged"]), None);
}

#[test]
fn node_names_come_from_the_host_name() {
    assert_eq!(node_name(" Edge-01\n"), "edge-01");
    assert_eq!(node_name("my_host"), "default-edge-node");
    assert!(!is_dns1123_subdomain("a..b"));
    assert!(!is_dns1123_subdomain("-a"));
}

#[test]
fn ipv6_servers_get_brackets() {
    assert_eq!(host_port(Some("::1".parse().expect("ip")), 10000), "[::1]:10000");
}
