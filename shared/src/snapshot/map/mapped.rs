//! One file, mapped for as long as the value lives; its descriptor is closed before anybody sees a byte.
#![allow(unsafe_code)] // mmap(2) and the slice over it

use crate::secure_file::ROOT;
use crate::snapshot::{PAGE_SIZE, RETIRED_BYTE, SnapshotError};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bytes of the largest file that is mapped: ten million people fit, and it is what a slice may have in a 32-bit process.
const MOST: u64 = i32::MAX as u64;

/// Which file this is, and which contents: a file is only ever replaced by rename, and an inode that is mapped is not
/// given to another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    /// Of what stands at `path` now.
    pub(super) fn at(path: &str) -> Result<Self, SnapshotError> {
        rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
            .map(|stat| Self::of(&stat))
            .map_err(SnapshotError::system)
    }

    // The fields' types differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        }
    }
}

/// A file mapped read-only.
#[derive(Debug)]
pub struct MappedFile {
    start: NonNull<u8>,
    length: usize,
    identity: Identity,
    shows_writes: bool,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only read.
unsafe impl Send for MappedFile {}
// SAFETY: as for Send; nothing here changes through a shared reference.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    /// Maps a file of root's that nobody else can write.
    ///
    /// # Errors
    /// Every variant of [`SnapshotError`] that is about a file.
    pub fn open(path: &str) -> Result<Self, SnapshotError> {
        Self::open_owned_by(path, ROOT)
    }

    /// As [`Self::open`], for tests that do not run as root.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_owned_by(path: &str, owner: u32) -> Result<Self, SnapshotError> {
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(SnapshotError::system)?;
        let stat = rustix::fs::fstat(&descriptor).map_err(SnapshotError::system)?;
        check(&stat, owner)?;
        Self::map(&descriptor, Identity::of(&stat), shows_writes(&descriptor))
    }

    fn map(descriptor: &OwnedFd, identity: Identity, shows_writes: bool) -> Result<Self, SnapshotError> {
        let length = usize::try_from(identity.size).map_err(|_| SnapshotError::TooLarge(identity.size))?;
        let (read, shared, raw) = (libc::PROT_READ, libc::MAP_SHARED, descriptor.as_raw_fd());
        // SAFETY: a new mapping at an address of the kernel's choice takes nothing from anybody.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, read, shared, raw, 0) };
        if start == libc::MAP_FAILED {
            let errno = Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO);
            return Err(SnapshotError::system(errno));
        }
        let start = NonNull::new(start.cast()).ok_or(SnapshotError::Unreadable(Errno::FAULT))?;
        Ok(Self { start, length, identity, shows_writes })
    }

    /// The bytes of the file. All of them stay as they are but the one at [`RETIRED_BYTE`], which no code reads
    /// through this slice: a publisher renames a new file over the old and never writes or truncates in place.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start` and `length` are a mapping that is not undone before `self` is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// Has a publisher said that another file takes the place of this one?
    #[must_use]
    pub fn is_retired(&self) -> bool {
        // SAFETY: `check` has seen that the file has more bytes than this, and the byte is only used atomically.
        let flag = unsafe { AtomicU8::from_ptr(self.start.as_ptr().add(RETIRED_BYTE)) };
        flag.load(Ordering::Relaxed) != 0
    }

    /// Is [`Self::is_retired`] true from the moment a publisher says so, whoever that is on this machine?
    pub(super) fn shows_writes(&self) -> bool {
        self.shows_writes
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `map`; no slice of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Is the open file one that only `owner` could have written, and could it be a database?
fn check(stat: &Stat, owner: u32) -> Result<(), SnapshotError> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SnapshotError::NotRegular);
    }
    if stat.st_uid != owner && !hidden_by_namespace(stat.st_uid) {
        return Err(SnapshotError::Owner(stat.st_uid));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(SnapshotError::Writable(stat.st_mode & 0o7777));
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size < PAGE_SIZE as u64 {
        return Err(SnapshotError::Format("too short"));
    }
    if size > MOST {
        return Err(SnapshotError::TooLarge(size));
    }
    Ok(())
}

/// File systems (statfs(2)) of which this kernel alone keeps the pages: what is written to a file stands in every mapping
/// of it at once. Not so overlayfs, which copies a file of a lower layer when it is written, and lets those who have it
/// mapped keep the one below; nor a file system whose files another machine may write.
const COHERENT: [u32; 4] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // btrfs
    0x0102_1994, // tmpfs
];

fn shows_writes(descriptor: &OwnedFd) -> bool {
    // 32 bits in a field whose size and sign differ between architectures.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    rustix::fs::fstatfs(descriptor).is_ok_and(|system| COHERENT.contains(&(system.f_type as u32)))
}

/// In a user namespace that does not map the machine's root, root's files show the overflow uid
/// (user_namespaces(7)). Outside of one, that uid is a user like any other.
fn hidden_by_namespace(owner: u32) -> bool {
    let (mut uid, mut map) = ([0; 64], [0; 64]);
    let overflow = beginning_of("/proc/sys/kernel/overflowuid", &mut uid);
    overflow.and_then(|text| text.trim().parse().ok()) == Some(owner)
        && beginning_of("/proc/self/uid_map", &mut map).is_some_and(|map| !is_identity(map))
}

/// What a file begins with. No allocation: the standard library's functions end the process when there is no memory.
fn beginning_of<'b>(path: &str, place: &'b mut [u8; 64]) -> Option<&'b str> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let length = rustix::io::read(file, &mut *place).ok()?;
    std::str::from_utf8(place.get(..length)?).ok()
}

/// The whole range mapped onto itself: the first user namespace, or one like it.
fn is_identity(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn open(path: &std::path::Path) -> Result<MappedFile, SnapshotError> {
        MappedFile::open_owned_by(path.to_str().unwrap(), me())
    }

    #[test]
    fn a_mapped_file_is_read_whole_and_keeps_no_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, [7; 5000]).unwrap();
        let mapped = open(&path).unwrap();
        assert_eq!(mapped.bytes(), [7; 5000]);
        let names = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        assert!(names.into_iter().all(|name| name != path));
    }

    #[test]
    fn the_flag_byte_is_seen_through_the_mapping() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, [0; 5000]).unwrap();
        let mapped = open(&path).unwrap();
        assert!(!mapped.is_retired());
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[1], RETIRED_BYTE as u64).unwrap();
        assert!(mapped.is_retired());
    }

    #[test]
    fn what_is_no_file_of_the_owner_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert_eq!(open(&path).unwrap_err(), SnapshotError::Missing);
        std::fs::write(&path, [0; 5000]).unwrap();
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(open(&link).unwrap_err(), SnapshotError::NotRegular);
        assert_eq!(open(dir.path()).unwrap_err(), SnapshotError::NotRegular);
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(open(&fifo).unwrap_err(), SnapshotError::NotRegular);
        assert!(matches!(
            MappedFile::open_owned_by(path.to_str().unwrap(), me() + 1),
            Err(SnapshotError::Owner(_))
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
        assert!(matches!(open(&path), Err(SnapshotError::Writable(_))));
        std::fs::write(dir.path().join("empty"), b"").unwrap();
        assert_eq!(open(&dir.path().join("empty")).unwrap_err(), SnapshotError::Format("too short"));
    }

    #[test]
    fn only_a_namespace_that_maps_everything_onto_itself_is_the_first() {
        assert!(is_identity("         0          0 4294967295\n"));
        assert!(!is_identity("         0       1000          1\n"));
        assert!(!is_identity("0 0 1\n1 100000 65536\n"));
    }
}
