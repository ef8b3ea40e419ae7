//! The layout on disk, its changes, and what a crash leaves behind.

use proptest::prelude::*;

use super::*;

fn payload(files: &[(&str, &str)]) -> Payload {
    files
        .iter()
        .map(|(path, text)| {
            ((*path).to_owned(), ProjectedFile { bytes: text.as_bytes().to_vec(), mode: 0o644, uid: None })
        })
        .collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_740_816_930 + second).unwrap()
}

fn put(volume: &Path, files: &[(&str, &str)], second: i64) -> bool {
    write(volume, &payload(files), None, at(second)).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_are_reached_through_data() {
    let volume = tempfile::tempdir().unwrap();
    assert!(put(volume.path(), &[("app.yaml", "a"), ("sub/x", "b"), ("sub/y/z", "c")], 0));
    assert_eq!(names(volume.path()), ["..2025_03_01_08_15_30.0", "..data", "app.yaml", "sub"]);
    assert_eq!(fs::read_link(volume.path().join("..data")).unwrap(), Path::new("..2025_03_01_08_15_30.0"));
    assert_eq!(fs::read_link(volume.path().join("app.yaml")).unwrap(), Path::new("..data/app.yaml"));
    assert_eq!(fs::read_link(volume.path().join("sub")).unwrap(), Path::new("..data/sub"));
    assert_eq!(fs::read_to_string(volume.path().join("sub/y/z")).unwrap(), "c");
}

#[test]
fn equal_content_is_not_rewritten() {
    let volume = tempfile::tempdir().unwrap();
    put(volume.path(), &[("a", "1")], 0);
    assert!(!put(volume.path(), &[("a", "1")], 5));
    assert_eq!(names(volume.path()), ["..2025_03_01_08_15_30.0", "..data", "a"]);
}

#[test]
fn a_change_replaces_the_set_and_removes_what_is_gone() {
    let volume = tempfile::tempdir().unwrap();
    put(volume.path(), &[("a", "1"), ("b", "2"), ("d/e", "3")], 0);
    fs::write(volume.path().join("by-user"), "mine").unwrap();
    assert!(put(volume.path(), &[("a", "1+")], 1));
    assert_eq!(names(volume.path()), ["..2025_03_01_08_15_31.0", "..data", "a", "by-user"]);
    assert_eq!(fs::read_to_string(volume.path().join("a")).unwrap(), "1+");
    assert!(put(volume.path(), &[], 2));
    assert_eq!(names(volume.path()), ["..2025_03_01_08_15_32.0", "..data", "by-user"]);
}

#[test]
fn a_changed_mode_alone_is_applied() {
    let volume = tempfile::tempdir().unwrap();
    put(volume.path(), &[("a", "1")], 0);
    let mut files = payload(&[("a", "1")]);
    files.get_mut("a").unwrap().mode = 0o400;
    assert!(write(volume.path(), &files, None, at(1)).unwrap());
    assert_eq!(fs::metadata(volume.path().join("a")).unwrap().mode() & 0o7777, 0o400);
}

#[test]
fn what_a_crash_leaves_is_cleaned_up() {
    let volume = tempfile::tempdir().unwrap();
    put(volume.path(), &[("a", "1")], 0);
    symlink("..gone", volume.path().join("..data_tmp")).unwrap();
    fs::create_dir(volume.path().join("..2025_03_01_08_15_31.0")).unwrap();
    assert!(put(volume.path(), &[("a", "2")], 1));
    assert_eq!(names(volume.path()), ["..2025_03_01_08_15_31.1", "..data", "a"]);
}

#[test]
fn a_lost_visible_link_comes_back() {
    let volume = tempfile::tempdir().unwrap();
    put(volume.path(), &[("a", "1")], 0);
    fs::remove_file(volume.path().join("a")).unwrap();
    assert!(!put(volume.path(), &[("a", "1")], 1));
    assert_eq!(fs::read_to_string(volume.path().join("a")).unwrap(), "1");
}

#[test]
fn the_group_of_the_pod_may_read() {
    let volume = tempfile::tempdir().unwrap();
    let gid = nix::unistd::getgid().as_raw();
    let mut files = payload(&[("d/token", "t")]);
    files.get_mut("d/token").unwrap().mode = 0o600;
    write(volume.path(), &files, Some(gid), at(0)).unwrap();
    assert_eq!(fs::metadata(volume.path().join("d/token")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::metadata(volume.path().join("d")).unwrap().mode() & 0o7777, 0o2755);
    assert!(!write(volume.path(), &files, Some(gid), at(1)).unwrap());
}

#[test]
fn paths_that_leave_the_volume_are_refused_before_anything_is_written() {
    let volume = tempfile::tempdir().unwrap();
    let long = "x".repeat(256);
    let deep = "d/".repeat(2100) + "f";
    for path in ["", "/etc/passwd", "../x", "a/../../x", "..data", "..x", "a//..", ".", long.as_str(), deep.as_str()] {
        assert!(write(volume.path(), &payload(&[(path, "x")]), None, at(0)).is_err(), "{path:?}");
    }
    assert_eq!(names(volume.path()).len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn after_any_series_of_writes_the_volume_holds_the_last_one(
        series in proptest::collection::vec(
            proptest::collection::btree_map("[ab](/[cd]e)?", "[xy]{0,2}", 0..4), 1..5)
    ) {
        let volume = tempfile::tempdir().unwrap();
        let mut last = None;
        for (second, files) in series.iter().enumerate() {
            // A path cannot be both a file and a directory.
            let files: Vec<(&str, &str)> = files.iter()
                .filter(|(path, _)| path.contains('/') || !files.keys().any(|k| k.starts_with(&format!("{path}/"))))
                .map(|(k, v)| (k.as_str(), v.as_str())).collect();
            put(volume.path(), &files, i64::try_from(second).unwrap());
            last = Some(payload(&files));
        }
        let last = last.unwrap();
        prop_assert!(holds(&volume.path().join("..data"), &last, None));
        let visible: Vec<_> = names(volume.path()).into_iter().filter(|n| !n.starts_with("..")).collect();
        let expected: Vec<_> = first_elements(&last).into_iter().map(str::to_owned).collect();
        prop_assert_eq!(visible, expected);
        prop_assert_eq!(names(volume.path()).iter().filter(|n| n.starts_with("..2")).count(), 1);
    }

    #[test]
    fn checking_a_path_never_panics(path in "[./a]{0,12}") {
        let _ = check_path(&path);
    }
}
