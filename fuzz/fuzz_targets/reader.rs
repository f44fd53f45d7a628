//! The reader of the published database on any bytes: no panic, no endless loop, and nothing served that breaks a rule.
//!
//!     cargo +nightly fuzz run reader fuzz/corpus/reader
//!
//! The corpus begins with files of `tests/abi/make_db.py`. What is mutated is made whole where the reader would stop at
//! once: the header and the number of pages.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use shared::snapshot::{APPLICATION_ID, FORMAT, PAGE_SIZE, Snapshot};

fuzz_target!(|bytes: &[u8]| {
    let Ok(snapshot) = Snapshot::open(bytes) else { return };
    for name in [&b"ann"[..], b"p0", b"p7", b"g0", b"nobody"] {
        if let Ok(Some(person)) = snapshot.person_by_name(name) {
            assert_eq!(person.name.as_bytes(), name);
            assert!(person.supplementary().take_while(Result::is_ok).flatten().all(|gid| gid != 0));
        }
        let _ = snapshot.group_by_name(name).map(|group| group.map(|group| group.members()));
        let _ = snapshot.name_is_tombstoned(name);
    }
    let mut after = None;
    while let Ok(Some(person)) = snapshot.people_after(after) {
        let uid = person.uid.get();
        assert!(uid >= 1000 && person.gid.get() >= 1000 && after.is_none_or(|after| after < uid));
        assert!(!person.home.contains(&b':') && !person.shell.contains(&b'\n') && !person.gecos.contains(&0));
        let found = snapshot.person_by_uid(uid).ok().flatten();
        assert!(found.is_none_or(|found| found.uid.get() == uid));
        after = Some(uid);
    }
    let mut after = None;
    while let Ok(Some(group)) = snapshot.groups_after(after) {
        assert!(group.gid != 0 && after.is_none_or(|after| after < group.gid));
        let _ = group.members().map(|members| assert_eq!(members.len(), group.member_count as usize));
        after = Some(group.gid);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, _seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    let pages = (size / PAGE_SIZE).max(1);
    let size = (pages * PAGE_SIZE).min(max_size);
    if let Some(header) = data.get_mut(..size).and_then(|data| data.first_chunk_mut::<100>()) {
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[16..21].copy_from_slice(&[0x10, 0, 3, 1, 0]);
        header[28..32].copy_from_slice(&(pages as u32).to_be_bytes());
        header[56..60].copy_from_slice(&1_u32.to_be_bytes());
        header[60..64].copy_from_slice(&FORMAT.to_be_bytes());
        header[68..72].copy_from_slice(&APPLICATION_ID.to_be_bytes());
    }
    size
});
