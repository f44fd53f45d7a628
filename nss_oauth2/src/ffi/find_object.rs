//! Where the unwinder finds its tables.
//!
//! The static libgcc (build.rs) of a compiler that was made for glibc 2.35 or later asks `_dl_find_object` of libc, and with
//! that symbol the module would not load on Enterprise Linux 9, which has 2.34. So the module brings one of its own, hidden,
//! on the older `dl_iterate_phdr`, as libgcc itself did before. It runs only when a panic unwinds.

use libc::{Elf64_Phdr, PT_GNU_EH_FRAME, PT_LOAD, c_int, c_void, dl_iterate_phdr, dl_phdr_info, size_t};
use std::arch::global_asm;

/// `struct dl_find_object` of dlfcn.h, on machines without `DLFO_STRUCT_HAS_EH_DBASE`.
#[repr(C)]
#[allow(dead_code)] // the shape is libc's
struct Object {
    flags: u64,
    map_start: *mut c_void,
    map_end: *mut c_void,
    link_map: *mut c_void,
    eh_frame: *mut c_void,
    reserved: [u64; 7],
}

/// What `dl_iterate_phdr` carries from object to object.
struct Search {
    address: u64,
    /// The header of the tables (PT_GNU_EH_FRAME), once it is found.
    eh_frame: u64,
}

#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    () => {
        "jmp {find_object}"
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    () => {
        "b {find_object}"
    };
}

// `no_mangle` would export the name to the whole process, and take libc's own from other libraries.
global_asm!(
    ".pushsection .text._dl_find_object, \"ax\", %progbits",
    ".globl _dl_find_object",
    ".hidden _dl_find_object",
    ".type _dl_find_object, %function",
    "_dl_find_object:",
    jump!(),
    ".size _dl_find_object, . - _dl_find_object",
    ".popsection",
    find_object = sym find_object,
);

/// As `_dl_find_object`: 0, or -1 where no object with tables holds the address.
///
/// # Safety
/// `result` is the caller's own.
unsafe extern "C" fn find_object(address: *mut c_void, result: *mut Object) -> c_int {
    let mut search = Search { address: address.addr() as u64, eh_frame: 0 };
    // SAFETY: `look` takes what it is given here for what it is, and nobody else has it meanwhile.
    unsafe { dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    if search.eh_frame == 0 {
        return -1;
    }
    // SAFETY: the caller's. This is all that the unwinder reads of it (unwind-dw2-fde-dip.c).
    unsafe { (&raw mut (*result).eh_frame).write(search.eh_frame as *mut c_void) };
    0
}

/// Ends the search with 1 in the object that holds the address. No arithmetic here may panic: a panic is under way.
///
/// # Safety
/// As the callback of dl_iterate_phdr(3), with a `Search`.
unsafe extern "C" fn look(info: *mut dl_phdr_info, _size: size_t, search: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr(3) gives an entry that is good for this call, and the pointer of `find_object`.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: dl_iterate_phdr(3): an array of that many program headers.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let begins = |header: &Elf64_Phdr| info.dlpi_addr.wrapping_add(header.p_vaddr);
    let holds = |header: &Elf64_Phdr| {
        header.p_type == PT_LOAD && search.address.wrapping_sub(begins(header)) < header.p_memsz
    };
    if !headers.iter().any(holds) {
        return 0;
    }
    let tables = headers.iter().find(|header| header.p_type == PT_GNU_EH_FRAME);
    search.eh_frame = tables.map_or(0, begins);
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    type Find = unsafe extern "C" fn(*mut c_void, *mut Object) -> c_int;

    fn tables(find: Find, address: *mut c_void) -> Option<*mut c_void> {
        let mut object = MaybeUninit::uninit();
        // SAFETY: room for an `Object`, which is filled where 0 is returned.
        unsafe { (find(address, object.as_mut_ptr()) == 0).then(|| (*object.as_ptr()).eh_frame) }
    }

    /// libc's own; ours is hidden, so that dlsym does not see it.
    fn of_libc() -> Option<Find> {
        // SAFETY: a function of that type where it is there (glibc 2.35 and later).
        unsafe {
            let found = libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr());
            (!found.is_null()).then(|| std::mem::transmute::<*mut c_void, Find>(found))
        }
    }

    #[test]
    fn the_tables_are_those_that_libc_finds() {
        let of_libc = of_libc().expect("the tests run with glibc 2.35 or later");
        assert_ne!(of_libc as usize, find_object as *const () as usize);
        for address in [find_object as *mut c_void, libc::getpid as *mut c_void, of_libc as *mut c_void] {
            let found = tables(find_object, address);
            assert!(found.is_some());
            assert_eq!(found, tables(of_libc, address));
        }
    }

    #[test]
    fn an_address_of_no_object_has_none() {
        let mut on_the_heap = Box::new(0_u8);
        let nowhere: [*mut c_void; 3] =
            [null_mut(), (&raw mut *on_the_heap).cast(), usize::MAX as *mut c_void];
        for address in nowhere {
            assert_eq!(tables(find_object, address), None);
        }
    }

    #[test]
    fn a_panic_is_caught_with_it() {
        unsafe extern "C" {
            // What libgcc calls in this very program.
            fn _dl_find_object(address: *mut c_void, result: *mut Object) -> c_int;
        }
        let address = find_object as *mut c_void;
        assert_eq!(tables(_dl_find_object, address), tables(find_object, address));
        assert_ne!(of_libc().map(|find| find as usize), Some(_dl_find_object as *const () as usize));
        assert!(std::panic::catch_unwind(|| panic!("never seen")).is_err());
    }
}
