//! Files that others may have laid there.

use super::*;
use shared::clock::TestClock;
use shared::config::Limits;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

const LIMITS: Limits = Limits { starts_per_minute: 1, provider_requests_per_minute: 600 };

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn start(path: &Path) -> Result<bool, CountersError> {
    let clock = TestClock::at(0);
    update(path, me(), &clock, |table| table.stranger_starts("192.0.2.1", &LIMITS, 5).is_ok())
}

/// A directory of the right mode, and the path of the file in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/limits");
    std::fs::DirBuilder::new().mode(0o700).create(directory.path().join("run")).unwrap();
    (directory, path)
}

#[test]
fn the_first_login_makes_directory_and_file_and_the_next_one_finds_its_count() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/limits");
    assert!(start(&path).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    assert!(!start(&path).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), SIZE as u64);
}

#[test]
fn two_machines_have_two_keys() {
    let keys = [place(), place()].map(|(_directory, path)| {
        start(&path).unwrap();
        std::fs::read(&path).unwrap()[8..24].to_vec()
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn garbage_is_begun_anew_and_no_longer_than_a_table() {
    for garbage in [vec![], vec![0xaa; 10], vec![0xaa; SIZE], vec![0xaa; 3 * SIZE]] {
        let (_directory, path) = place();
        secure_write(&path, &garbage);
        assert!(start(&path).unwrap(), "{}", garbage.len());
        assert!(!start(&path).unwrap(), "{}", garbage.len());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), SIZE as u64);
    }
}

fn secure_write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_link_is_not_followed_and_its_target_stays_as_it_was() {
    let (directory, path) = place();
    let target = directory.path().join("target");
    secure_write(&target, b"precious");
    symlink(&target, &path).unwrap();
    assert!(matches!(start(&path), Err(CountersError::Io { .. })));
    std::fs::remove_file(&path).unwrap();
    std::fs::hard_link(&target, &path).unwrap();
    assert!(matches!(start(&path), Err(CountersError::NotOurs(_))));
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
}

#[test]
fn a_directory_that_is_a_link_is_not_followed() {
    let (directory, path) = place();
    let link = directory.path().join("link");
    symlink(path.parent().unwrap(), &link).unwrap();
    assert!(matches!(start(&link.join("limits")), Err(CountersError::Io { .. })));
}

#[test]
fn what_is_no_regular_file_is_left_alone() {
    let (_directory, path) = place();
    std::fs::create_dir(&path).unwrap();
    assert!(start(&path).is_err());
    std::fs::remove_dir(&path).unwrap();
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap();
    assert!(made.success());
    assert!(matches!(start(&path), Err(CountersError::NotOurs(_))));
}

#[test]
fn what_others_can_open_or_own_is_not_used() {
    let (_directory, path) = place();
    assert!(start(&path).unwrap());
    for mode in [0o640, 0o604, 0o620, 0o666] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(start(&path), Err(CountersError::NotOurs(of)) if of == path), "{mode:o}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let other = update(&path, me() + 1, &TestClock::at(0), |_| ());
    assert!(matches!(other, Err(CountersError::NotOurs(of)) if of == path.parent().unwrap()));
    std::fs::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(start(&path), Err(CountersError::NotOurs(of)) if of == path.parent().unwrap()));
}

#[test]
fn a_file_that_stays_locked_keeps_nobody_waiting() {
    let (_directory, path) = place();
    assert!(start(&path).unwrap());
    let holder = File::open(&path).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let clock = TestClock::at(0);
    let outcome = update(&path, me(), &clock, |_| ());
    assert!(matches!(outcome, Err(CountersError::Locked(_))));
    assert!(clock.monotonic() <= Duration::from_millis(100));
    drop(holder);
    assert!(!start(&path).unwrap());
}

/// On a busy machine the lock may stay out of reach for longer than a login waits.
fn patiently(path: &Path, change: impl Fn(&mut Table) -> bool) -> bool {
    loop {
        match update(path, me(), &shared::clock::SystemClock::new(), &change) {
            Err(CountersError::Locked(_)) => {}
            outcome => return outcome.unwrap(),
        }
    }
}

#[test]
fn many_at_once_are_counted_one_by_one() {
    let (_directory, path) = place();
    let limits = Limits { starts_per_minute: 50, ..LIMITS };
    let started: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let start = |table: &mut Table| table.stranger_starts("192.0.2.1", &limits, 5).is_ok();
                    (0..20).filter(|_| patiently(&path, start)).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(started, 50);
}
