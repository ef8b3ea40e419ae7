use std::collections::BTreeSet;

use super::*;

#[test]
fn every_row_has_its_schema_and_a_unique_path() {
    let mut seen = BTreeSet::new();
    for row in builtin() {
        assert!(schema::find(row.message).is_some(), "no schema for {}", row.message);
        assert!(seen.insert((row.group, row.version, row.plural)), "{} twice", row.plural);
    }
}

#[test]
fn names_in_messages_carry_the_group() {
    let info = |plural| ResourceInfo::from(builtin().iter().find(|row| row.plural == plural).unwrap());
    assert_eq!(info("pods").qualified_plural(), "pods");
    assert_eq!(info("deployments").qualified_plural(), "deployments.apps");
    assert_eq!(info("deployments").qualified_kind(), "Deployment.apps");
    assert_eq!(info("deployments").api_version(), "apps/v1");
    assert_eq!(split_group_version("apps/v1"), ("apps", "v1"));
    assert_eq!(split_group_version("v1"), ("", "v1"));
}
