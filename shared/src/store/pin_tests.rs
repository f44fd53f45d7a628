//! Another uid for a person, and the old one.

use super::roster_tests::{BY, reservation, uid};
use super::test_machine::{account, machine, name};
use super::*;

#[test]
fn a_uid_is_pinned_before_the_first_sign_in_or_by_force() {
    let m = machine("");
    m.reserve("ann", 5000, |_| ()).unwrap();
    let pin = |number, force| m.store().pin(&name("ann"), uid(number), force, BY);
    assert_eq!(pin(5001, false).unwrap(), uid(5000));
    assert_eq!(m.published("ann").unwrap().1, 5001);
    assert_eq!(m.is_published_as_former("ann", 5000), (false, false), "no file ever had it");
    m.sign_in("ann", 5001, "a", &[]).unwrap();
    assert!(matches!(pin(5002, false), Err(RosterError::InUse { .. })));
    assert_eq!(pin(5002, true).unwrap(), uid(5001));
    let person = m.person("ann");
    assert_eq!((person.account.uid.get(), person.account.gid.get()), (5002, 5002));
    assert_eq!(m.published("ann").unwrap().1, 5002);
    assert_eq!(m.is_published_as_former("ann", 5001), (false, true));
    assert!(matches!(m.reserve("bob", 5001, |_| ()), Err(RosterError::UidTaken { .. })));
    assert!(matches!(m.sign_in("bob", 5001, "b", &[]), Err(RecordError::Tombstoned)));
}

#[test]
fn a_former_uid_goes_back_to_its_owner_and_to_nobody_else() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    let pin = |login, number| m.store().pin(&name(login), uid(number), true, BY);
    pin("ann", 5001).unwrap();
    m.rename("ann", "anna", false).unwrap();
    pin("anna", 5002).unwrap();
    assert_eq!(pin("anna", 5000).unwrap(), uid(5002), "the first of two, under another name");
    assert_eq!(m.published("anna").unwrap().1, 5000);
    assert_eq!(m.is_published_as_former("ann", 5000), (true, false));
    assert_eq!(m.is_published_as_former("ann", 5001), (true, true));
    pin("anna", 5001).unwrap();
    m.remove("anna");
    let mut returns = account("anna", 5001);
    returns.home = "/home/ann".into();
    m.store().reserve(&reservation(&returns), BY).unwrap();
    pin("anna", 5003).unwrap();
    assert!(m.is_published_as_former("anna", 5001).1, "files of before the removal have it");
    m.remove("anna");
    m.reserve("anna", 5009, |wanted| wanted.reuse_name = true).unwrap();
    for number in [5000, 5001, 5002, 5003] {
        assert!(
            matches!(pin("anna", number), Err(RosterError::UidTaken { .. })),
            "somebody of the same name"
        );
    }
}
