use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection};

use super::*;
use crate::authority::Authority;
use crate::certificate::{self, LeafProfile, Role, San, Template, Usage};
use crate::key::PrivateKey;

fn now() -> Timestamp {
    Timestamp::now()
}

fn authority() -> Authority {
    Authority::generate("KubeEdge", 1024, 36_400, now()).expect("generates")
}

fn server_identity(authority: &Authority) -> Identity {
    let profile = LeafProfile {
        common_name: "KubeEdge".into(),
        organizations: vec!["KubeEdge".into()],
        days: 365,
        usages: vec![Usage::ServerAuth],
        sans: vec![San::Ip([192, 0, 2, 7].into()), San::Dns("cloud.example".into())],
    };
    authority.issue(&profile, now()).expect("issues")
}

fn edge_identity(authority: &Authority) -> Identity {
    let profile = LeafProfile {
        common_name: "system:node:edge1".into(),
        organizations: vec!["system:nodes".into()],
        days: 365,
        usages: vec![Usage::ClientAuth],
        sans: vec![],
    };
    authority.issue(&profile, now()).expect("issues")
}

/// Carries bytes between the two until nothing moves; returns what each side failed with.
fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    dialled: &str,
) -> (ServerConnection, Option<rustls::Error>, Option<rustls::Error>) {
    fn pass(from: &mut Connection, to: &mut Connection) -> (bool, Option<rustls::Error>) {
        let mut bytes = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut bytes).expect("writes to memory");
        }
        let mut rest = bytes.as_slice();
        let mut failure = None;
        while !rest.is_empty() && failure.is_none() {
            to.read_tls(&mut rest).expect("reads from memory");
            failure = to.process_new_packets().err();
        }
        (!bytes.is_empty(), failure)
    }
    let name = ServerName::try_from(dialled.to_owned()).expect("a name");
    let mut client = Connection::Client(ClientConnection::new(Arc::clone(client), name).expect("starts"));
    let mut server = Connection::Server(ServerConnection::new(Arc::clone(server)).expect("starts"));
    let (mut client_error, mut server_error) = (None, None);
    loop {
        let (up, error) = pass(&mut client, &mut server);
        server_error = server_error.or(error);
        let (down, error) = pass(&mut server, &mut client);
        client_error = client_error.or(error);
        if !up && !down {
            break;
        }
    }
    let Connection::Server(server) = server else { unreachable!("made above") };
    (server, client_error, server_error)
}

fn client_failure(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, dialled: &str) -> TlsFailure {
    let (_, error, _) = shake(client, server, dialled);
    TlsFailure::classify(&error.expect("client fails"))
}

#[test]
fn edge_and_cloud_prove_themselves_to_each_other() {
    let ca = authority();
    let server = server_config_mutual(&server_identity(&ca), ca.cert_der()).expect("config");
    let edge = edge_identity(&ca);
    let client = client_config(ca.cert_der(), Some(&edge)).expect("config");
    for dialled in ["192.0.2.7", "cloud.example"] {
        let (server, client_error, server_error) = shake(&client, &server, dialled);
        assert_eq!((client_error, server_error), (None, None), "{dialled}");
        assert_eq!(server.peer_certificates().expect("shown")[0].as_ref(), edge.cert_der);
        assert_eq!(server.alpn_protocol(), None);
    }
}

#[test]
fn other_address_names_what_the_certificate_is_for() {
    let ca = authority();
    let server = server_config_mutual(&server_identity(&ca), ca.cert_der()).expect("config");
    let client = client_config(ca.cert_der(), None).expect("config");
    match client_failure(&client, &server, "192.0.2.8") {
        TlsFailure::Name(mismatch) => assert_eq!(
            mismatch.to_string(),
            "certificate not valid for the dialled address 192.0.2.8: it names 192.0.2.7, cloud.example"
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn empty_name_in_a_go_certificate_is_tolerated() {
    let ca = authority();
    let key = PrivateKey::generate().expect("random");
    let subject = certificate::subject("KubeEdge", &["KubeEdge".into()]);
    let (_, parsed) = x509_parser::parse_x509_certificate(ca.cert_der()).expect("parses");
    let template = Template {
        serial: 7,
        issuer: parsed.subject().as_raw(),
        subject: &subject,
        not_before: now(),
        days: 1,
        public_info: &key.public_info().expect("has one"),
        usages: &[Usage::ServerAuth],
        role: Role::Leaf { issuer_key_id: None },
        sans: &[San::Dns(String::new()), San::Ip([192, 0, 2, 7].into())],
    };
    let cert_der = template.sign(ca.key()).expect("signs");
    assert!(cert_der.windows(8).any(|window| window == [0x82, 0, 0x87, 4, 192, 0, 2, 7]));
    let identity = Identity::new(cert_der, key).expect("belong together");

    let server = server_config_optional_client(&identity).expect("config");
    let client = client_config(ca.cert_der(), None).expect("config");
    let (_, client_error, server_error) = shake(&client, &server, "192.0.2.7");
    assert_eq!((client_error, server_error), (None, None));
    assert!(matches!(client_failure(&client, &server, "cloud.example"), TlsFailure::Name(_)));
}

#[test]
fn foreign_server_of_the_same_ca_name_is_unknown() {
    let (ours, theirs) = (authority(), authority());
    let server = server_config_mutual(&server_identity(&theirs), theirs.cert_der()).expect("config");
    let client = client_config(ours.cert_der(), None).expect("config");
    assert!(matches!(client_failure(&client, &server, "192.0.2.7"), TlsFailure::UnknownAuthority));
}

#[test]
fn refused_client_certificate_is_told_apart() {
    let (ours, theirs) = (authority(), authority());
    let server = server_config_mutual(&server_identity(&ours), ours.cert_der()).expect("config");
    for identity in [None, Some(edge_identity(&theirs)), Some(server_identity(&ours))] {
        let client = client_config(ours.cert_der(), identity.as_ref()).expect("config");
        let failure = client_failure(&client, &server, "192.0.2.7");
        assert!(matches!(failure, TlsFailure::ClientRefused { .. }), "{failure:?}");
    }
}

#[test]
fn enrolment_port_takes_any_client_and_shows_its_certificate() {
    let (ours, theirs) = (authority(), authority());
    let server = server_config_optional_client(&server_identity(&ours)).expect("config");
    let foreign = edge_identity(&theirs);
    for identity in [None, Some(&foreign)] {
        let client = client_config(ours.cert_der(), identity).expect("config");
        let (server, client_error, server_error) = shake(&client, &server, "192.0.2.7");
        assert_eq!((client_error, server_error), (None, None));
        let shown = server.peer_certificates().map(|chain| chain[0].as_ref().to_vec());
        assert_eq!(shown.as_ref(), identity.map(|identity| &identity.cert_der));
    }
    assert!(verify_client_chain(&foreign.cert_der, ours.cert_der(), now()).is_err());
    assert!(verify_client_chain(&foreign.cert_der, theirs.cert_der(), now()).is_ok());
}

#[test]
fn unverified_client_takes_any_server() {
    let ca = authority();
    let server = server_config_optional_client(&server_identity(&ca)).expect("config");
    let client = client_config_unverified().expect("config");
    let (_, client_error, server_error) = shake(&client, &server, "198.51.100.1");
    assert_eq!((client_error, server_error), (None, None));
}

#[test]
fn replaced_identity_is_presented_by_the_next_handshake() {
    let (first, second) = (authority(), authority());
    let slot = IdentitySlot::new(&server_identity(&first)).expect("usable");
    let server = server_config_optional_client_reloading(Arc::clone(&slot)).expect("config");
    let client = client_config(second.cert_der(), None).expect("config");
    assert!(matches!(client_failure(&client, &server, "192.0.2.7"), TlsFailure::UnknownAuthority));
    slot.replace(&server_identity(&second)).expect("usable");
    let (_, client_error, server_error) = shake(&client, &server, "192.0.2.7");
    assert_eq!((client_error, server_error), (None, None));
}

#[test]
fn plain_text_server_is_told_apart() {
    let client = client_config_unverified().expect("config");
    let name = ServerName::try_from("cloud.example").expect("a name");
    let mut client = ClientConnection::new(client, name).expect("starts");
    client.read_tls(&mut &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]).expect("reads from memory");
    let error = client.process_new_packets().expect_err("is not TLS");
    assert!(matches!(TlsFailure::classify(&error), TlsFailure::NotTls));
    let wrapped = std::io::Error::other(std::io::Error::new(std::io::ErrorKind::InvalidData, error));
    assert!(matches!(TlsFailure::find(&wrapped), Some(TlsFailure::NotTls)));
}
