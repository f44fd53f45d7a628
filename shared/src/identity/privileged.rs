//! Groups of /etc/group whose members are, or can easily become, root, or read what is root's. Membership in one is given
//! only when the configuration names the group a second time (`allow_privileged_groups`).

/// Sorted. By convention of sudoers and polkit; by a socket that runs anything as root; by files of the machine.
const PRIVILEGED: [&str; 41] = [
    "adm",
    "admin",
    "backup",
    "bin",
    "crontab",
    "daemon",
    "disk",
    "docker",
    "google-sudoers",
    "incus",
    "incus-admin",
    "input",
    "kmem",
    "kvm",
    "libvirt",
    "libvirt-qemu",
    "libvirtd",
    "lpadmin",
    "lxc",
    "lxd",
    "mem",
    "microk8s",
    "netdev",
    "nopasswdlogin",
    "operator",
    "podman",
    "polkitd",
    "root",
    "shadow",
    "ssh_keys",
    "ssl-cert",
    "staff",
    "sudo",
    "sys",
    "systemd-journal",
    "systemd-network",
    "tape",
    "tty",
    "video",
    "wheel",
    "wireshark",
];

/// Is the group one of them? Compared without case.
#[must_use]
pub fn is_privileged(name: &str) -> bool {
    PRIVILEGED.iter().any(|privileged| privileged.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_root_is_privileged_and_an_office_group_is_not() {
        for name in ["root", "wheel", "sudo", "adm", "docker", "lxd", "disk", "shadow", "Sudo"] {
            assert!(is_privileged(name), "{name}");
        }
        for name in ["oauth2users", "audio", "staff2", ""] {
            assert!(!is_privileged(name), "{name}");
        }
    }
}
