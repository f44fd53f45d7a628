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
use std::mem::MaybeUninit;

fuzz_target!(|bytes: &[u8]| {
    let Ok(snapshot) = Snapshot::open(bytes) else { return };
    let _ = snapshot.counted();
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
    check_gids(person);
}

/// One at a time, and as the module copies them: a fault in one way is a fault in the other.
fn check_gids(person: &Person<'_>) {
    const SKIP: u32 = 27;
    let gids = person.supplementary().collect::<Result<Vec<_>, _>>();
    assert!(gids.iter().flatten().all(|gid| *gid != 0 && *gid != u32::MAX));
    let mut places = [MaybeUninit::uninit(); 64];
    let (mut left, mut copied) = (person.supplementary(), 0);
    let whole = loop {
        let Ok(filled) = left.copy_to(&mut places, SKIP) else { break false };
        copied += filled;
        if filled < places.len() {
            break true;
        }
    };
    assert_eq!(whole, gids.is_ok());
    if let Ok(gids) = gids {
        assert_eq!(copied, gids.iter().filter(|gid| **gid != SKIP).count());
    }
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
