//! A minute of strangers and friends, second by second.

use super::*;

const KEY: [u8; KEY_SIZE] = [7; KEY_SIZE];
const LIMITS: Limits = Limits { starts_per_minute: 3, provider_requests_per_minute: 20 };

fn table() -> Table {
    Table::new(KEY)
}

fn strangers(table: &mut Table, address: &str, tries: u32, now: u32) -> usize {
    (0..tries).filter(|_| table.stranger_starts(address, &LIMITS, now).is_ok()).count()
}

#[test]
fn a_table_has_64_kib_and_reads_back_as_it_was_written() {
    let mut table = table();
    strangers(&mut table, "192.0.2.1", 2, 5);
    table.confirmed_starts("192.0.2.1", "ann", &LIMITS, 6);
    table.request_is_sent(true, 7);
    table.request_is_sent(false, 8);
    let bytes = table.bytes();
    assert_eq!(bytes.len(), SIZE);
    assert_eq!(Table::parse(&bytes), Some(table));
}

#[test]
fn what_is_no_table_is_none() {
    let bytes = table().bytes();
    for length in [0, 1, 16, 48, SIZE - 16, SIZE - 1] {
        assert_eq!(Table::parse(&bytes[..length]), None, "{length}");
    }
    assert_eq!(Table::parse(&[bytes.as_slice(), &[0]].concat()), None);
    assert_eq!(Table::parse(&[0; SIZE]), None);
    assert_eq!(Table::parse(&[0xff; SIZE]), None);
    let mut other = bytes.clone();
    other[7] = 2;
    assert_eq!(Table::parse(&other), None, "another format");
}

#[test]
fn any_counters_are_a_table_and_none_of_them_refuses_somebody_known() {
    let mut bytes = vec![0xff; SIZE];
    bytes[..8].copy_from_slice(&MAGIC);
    for now in [0, 59, u32::MAX - 1, u32::MAX] {
        let mut table = Table::parse(&bytes).unwrap();
        assert!(table.confirmed_starts("192.0.2.1", "ann", &LIMITS, now) <= LONGEST_DELAY);
        table.request_is_sent(true, now);
        let _ = table.stranger_starts("192.0.2.1", &LIMITS, now);
        assert_eq!(table.bytes().len(), SIZE);
    }
}

#[test]
fn strangers_get_as_many_starts_a_minute_as_the_limit_says_and_then_wait_for_the_next() {
    let mut table = table();
    assert_eq!(strangers(&mut table, "192.0.2.1", 9, 100), 3);
    assert_eq!(strangers(&mut table, "192.0.2.1", 9, 159), 0);
    assert_eq!(
        table.stranger_starts("192.0.2.1", &LIMITS, 159),
        Err(OverLimit::Starts(3)),
        "being refused does not make the wait longer"
    );
    assert_eq!(strangers(&mut table, "192.0.2.1", 9, 160), 3);
}

#[test]
fn another_address_has_a_count_of_its_own() {
    let mut table = table();
    assert_eq!(strangers(&mut table, "192.0.2.1", 9, 0), 3);
    assert_eq!(strangers(&mut table, "192.0.2.2", 9, 0), 3);
}

#[test]
fn one_house_is_one_address_however_it_is_written() {
    let same = [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8:1:2::1", "2001:DB8:1:2:0:0:0:1"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("Host.example.com", "host.example.com"),
    ];
    for (one, other) in same {
        assert_eq!(network(one), network(other), "{one} {other}");
    }
    let different = [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("a.example.com", "b.example.com"),
        ("UNKNOWN", "192.0.2.1"),
        ("4", "\u{4}"),
        ("10.1.2.3", "::a01:203"),
    ];
    for (one, other) in different {
        assert_ne!(network(one), network(other), "{one} {other}");
    }
}

#[test]
fn a_known_name_is_never_refused_and_waits_only_over_its_own_limit() {
    let mut table = table();
    let mut start = |address, name, now| table.confirmed_starts(address, name, &LIMITS, now).as_secs();
    for _ in 0..3 {
        assert_eq!(start("192.0.2.1", "ann", 0), 0);
    }
    assert_eq!(start("192.0.2.1", "ann", 0), 10);
    assert_eq!(start("192.0.2.1", "ann", 55), 5, "until the minute is over");
    assert_eq!(start("192.0.2.1", "bob", 0), 0);
    assert_eq!(start("192.0.2.2", "ann", 0), 0);
    assert_eq!(start("192.0.2.1", "ann", 60), 0);
}

#[test]
fn strangers_do_not_use_up_what_known_names_have_and_the_other_way_round() {
    let mut table = table();
    assert_eq!(strangers(&mut table, "192.0.2.1", 9, 0), 3);
    assert_eq!(table.confirmed_starts("192.0.2.1", "ann", &LIMITS, 0), Duration::ZERO);
    for _ in 0..100 {
        table.confirmed_starts("192.0.2.9", "ann", &LIMITS, 0);
    }
    assert_eq!(strangers(&mut table, "192.0.2.9", 9, 0), 3);
}

fn send(table: &mut Table, for_confirmed: bool, requests: u32, now: u32) {
    (0..requests).for_each(|_| table.request_is_sent(for_confirmed, now));
}

#[test]
fn strangers_have_half_of_the_requests_and_nobody_known_waits_for_them() {
    let mut table = table();
    send(&mut table, false, 9, 0);
    assert!(table.stranger_starts("192.0.2.1", &LIMITS, 1).is_ok());
    send(&mut table, false, 1, 1);
    assert_eq!(table.stranger_starts("192.0.2.2", &LIMITS, 59), Err(OverLimit::Requests(20)));
    send(&mut table, false, 1000, 1);
    assert_eq!(table.confirmed_starts("192.0.2.1", "ann", &LIMITS, 1), Duration::ZERO);
    assert!(table.stranger_starts("192.0.2.2", &LIMITS, 60).is_ok());
}

#[test]
fn known_names_wait_when_they_have_used_what_strangers_leave() {
    let mut table = table();
    send(&mut table, true, 19, 0);
    assert_eq!(table.confirmed_starts("192.0.2.1", "ann", &LIMITS, 0), Duration::ZERO);
    assert!(table.stranger_starts("192.0.2.2", &LIMITS, 0).is_ok(), "strangers have a half of their own");
    send(&mut table, false, 1, 0);
    assert_eq!(table.confirmed_starts("192.0.2.1", "ann", &LIMITS, 1), LONGEST_DELAY);
    assert_eq!(table.confirmed_starts("192.0.2.1", "ann", &LIMITS, 57).as_secs(), 3);
    assert_eq!(table.confirmed_starts("192.0.2.3", "ann", &LIMITS, 60), Duration::ZERO);
}

#[test]
fn a_clock_that_goes_back_begins_every_count_anew() {
    let mut table = table();
    assert_eq!(strangers(&mut table, "192.0.2.1", 3, 1000), 3);
    send(&mut table, false, 1000, 1000);
    for _ in 0..9 {
        table.confirmed_starts("192.0.2.1", "ann", &LIMITS, 1000);
    }
    assert!(table.stranger_starts("192.0.2.1", &LIMITS, 10).is_ok());
    assert_eq!(table.confirmed_starts("192.0.2.1", "ann", &LIMITS, 10), Duration::ZERO);
}

#[test]
fn somebody_with_very_many_addresses_grows_nothing_refuses_nobody_and_frees_no_busy_one() {
    let mut table = table();
    let limits = Limits { provider_requests_per_minute: 1_000_000, ..LIMITS };
    assert_eq!(strangers(&mut table, "192.0.2.1", 3, 0), 3);
    for number in 0..3 * SLOTS {
        let address = format!("2001:db8:{:x}:{:x}::1", number >> 16, number & 0xffff);
        assert!(table.stranger_starts(&address, &limits, 1).is_ok(), "{address}");
    }
    assert_eq!(table.bytes().len(), SIZE);
    assert_eq!(table.confirmed_starts("192.0.2.7", "ann", &limits, 2), Duration::ZERO);
    assert!(table.stranger_starts("192.0.2.8", &limits, 2).is_ok());
    assert_eq!(table.stranger_starts("192.0.2.1", &limits, 2), Err(OverLimit::Starts(3)));
}

#[test]
fn a_full_table_gives_up_what_is_over_then_what_started_least_then_what_is_oldest() {
    let mut table = table();
    for (slot, tag) in table.slots.iter_mut().zip(1..) {
        *slot = Slot { tag, since: 30, starts: 2 };
    }
    table.slots[9].since = 1;
    table.slots[5].starts = 1;
    let evicted = |table: &mut Table, tag, now| {
        let before: Vec<_> = table.slots.iter().map(|slot| slot.tag).collect();
        table.slot(tag, now).unwrap().starts = 9;
        let after: Vec<_> = table.slots.iter().map(|slot| slot.tag).collect();
        before.iter().zip(&after).position(|(before, after)| before != after)
    };
    assert_eq!(evicted(&mut table, 1 << 40, 61), Some(9), "its minute is over");
    assert_eq!(evicted(&mut table, 2 << 40, 61), Some(5), "one start");
    table.slots[17].since = 29;
    assert_eq!(evicted(&mut table, 3 << 40, 61), Some(17), "the oldest");
}

#[test]
fn tags_differ_from_key_to_key_and_say_nothing_of_who_they_are_of() {
    let other = Table::new([8; KEY_SIZE]);
    assert_ne!(table().tag("192.0.2.1", None), other.tag("192.0.2.1", None));
    assert_ne!(table().tag("192.0.2.1", None), table().tag("192.0.2.1", Some("")));
    let mut table = table();
    table.confirmed_starts("host.example.com", "ann", &LIMITS, 0);
    let bytes = table.bytes();
    for text in ["ann", "host", "example"] {
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    }
}
