//! The reader of the published database on any bytes: no panic, no endless loop, and nothing served that breaks a rule.
//!
//!     cargo +nightly fuzz run reader fuzz/corpus/reader
//!
//! Most of what is tried is a published database that was changed where its structure is ([`pages`]), the rest
//! any bytes. The corpus begins with files that the publication made (`cargo run --bin seeds`) and with some of
//! `tests/abi/make_db.py`.
#![no_main]

mod pages;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use shared::snapshot::{Group, Person, Snapshot, is_packed_names, name_ends};

fuzz_target!(|bytes: &[u8]| {
    let Ok(snapshot) = Snapshot::open(bytes) else { return };
    for name in [&b"ann"[..], b"p0", b"p7", b"g0", b"nobody", b"idp-staff"] {
        look_up(&snapshot, name);
    }
    for id in [0, 999, 1000, 5000, 65534, u32::MAX] {
        let _ = snapshot.person_by_uid(id).map(|person| person.map(|person| check_person(&person)));
        let _ = snapshot.group_by_gid(id).map(|group| group.map(|group| check_group(&group)));
        let _ = snapshot.uid_is_tombstoned(id);
    }
    let mut after = None;
    while let Ok(Some(person)) = snapshot.people_after(after) {
        let uid = person.uid.get();
        assert!(after.is_none_or(|after| after < uid));
        check_person(&person);
        look_up(&snapshot, person.name.as_bytes());
        let found = snapshot.person_by_uid(uid).ok().flatten();
        assert!(found.is_none_or(|found| found.uid.get() == uid));
        after = Some(uid);
    }
    let mut after = None;
    while let Ok(Some(group)) = snapshot.groups_after(after) {
        assert!(after.is_none_or(|after| after < group.gid));
        check_group(&group);
        look_up(&snapshot, group.name.as_bytes());
        after = Some(group.gid);
    }
});

fn look_up(snapshot: &Snapshot<'_>, name: &[u8]) {
    if let Ok(Some(person)) = snapshot.person_by_name(name) {
        assert_eq!(person.name.as_bytes(), name);
        check_person(&person);
    }
    if let Ok(Some(group)) = snapshot.group_by_name(name) {
        assert_eq!(group.name.as_bytes(), name);
        check_group(&group);
    }
    let _ = snapshot.name_is_tombstoned(name);
}

fn check_person(person: &Person<'_>) {
    assert!(person.uid.get() >= 1000 && person.gid.get() >= 1000);
    assert!(![person.gecos, person.home, person.shell].concat().iter().any(|byte| b":\n\0".contains(byte)));
    assert!(
        person.supplementary().take_while(Result::is_ok).flatten().all(|gid| gid != 0 && gid != u32::MAX)
    );
}

fn check_group(group: &Group<'_>) {
    assert!(group.gid != 0 && group.gid != u32::MAX);
    if let Ok(members) = group.members() {
        assert_eq!(members.len(), group.member_count as usize);
    }
    // As the module copies them.
    let mut copied = 0;
    for chunk in group.packed_members().chunks() {
        let Ok(chunk) = chunk else { return };
        copied += chunk.len();
        if is_packed_names(chunk) {
            assert!(name_ends(chunk).all(|end| chunk[end] == 0));
        }
    }
    assert_eq!(copied, group.packed_members().len());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = if seed % 8 == 0 { fuzzer_mutate(data, size, max_size) } else { size };
    let size = pages::make_whole(&mut data[..max_size], size);
    if seed % 8 != 0 {
        pages::change(&mut data[..size], seed);
        // Most of the time with a header that is believed.
        if seed % 64 != 1 {
            pages::make_whole(&mut data[..size], size);
        }
    }
    size
});
