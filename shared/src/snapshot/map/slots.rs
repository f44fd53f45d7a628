//! A value that many threads read while it is replaced now and then: no lock, no thread-local, no allocation, and
//! nothing that a fork at any moment could leave in a state that stops the child.
//!
//! A fixed number of slots; `current` names the one to read. Each slot has counters of pins and a state:
//!
//! ```text
//! FREE ──(claimed by one thread)── BUSY ──(filled, made current)── LIVE ──(one thread tries to empty it)── BUSY ── FREE
//! ```
//!
//! * A reader loads `current`, pins that slot, and loads `current` again. Only if it is still the same does it look at
//!   the value; else it lets go and begins again.
//! * A writer claims a FREE slot (BUSY), fills it, exchanges `current`, and only then sets LIVE.
//! * Whoever lets go of a slot that is not current tries to empty it: LIVE to BUSY, and then, in this order, sees that
//!   it is not current and that nobody pins it; drops the value; FREE.
//!
//! Why nobody reads a value that is being dropped. All operations are sequentially consistent, so they have one order.
//! While a thread holds a slot BUSY to empty it, the slot cannot become current: only the thread that claims it FREE
//! can make it so. If that thread finds it not current, every reader that was satisfied by its second load had loaded
//! before that, hence had pinned before that, and its pin is seen by the load of its counter that comes after, unless
//! it has let go by then. A reader that pins later is not satisfied by its second load and never looks.
//!
//! Why a slot has several counters. Threads that count on one cache line take it from each other at every lookup. Each
//! counts in the lane that the address of its stack chooses, and lets go in the same one; the argument above holds for
//! each counter by itself.
//!
//! Why no slot is forgotten. A reader that lets go while another thread holds the slot BUSY leaves it to that thread,
//! which looks at the counter once more after it has set LIVE. A writer's own pin keeps its slot from being emptied
//! before it is LIVE.
//!
//! After a fork the child has one thread. Pins of the others stay for ever: their slots keep their mapping (shared
//! with the parent, so it costs addresses, not memory). A slot that was BUSY stays so. Neither is waited for, `current`
//! is always one or the other value, and where no slot is FREE any more the caller uses its value once, without
//! keeping it.
#![allow(unsafe_code)] // the values stand in UnsafeCells

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering::SeqCst};

/// One is current, one or two are still being read; the rest is for what forks leave behind. With more, the statics of the
/// module would not fit into its page of data: another mapping and two page faults in each process that looks one name up.
const SLOTS: usize = 6;
/// Threads of two lanes do not disturb each other.
const LANES: usize = 8;

const FREE: u8 = 0;
const BUSY: u8 = 1;
const LIVE: u8 = 2;

/// All zero when it is new, so that it costs the file of the module nothing.
pub(super) struct Slots<T> {
    /// Index of the current slot, counted from one; 0: none.
    current: AtomicUsize,
    slots: [Slot<T>; SLOTS],
    lanes: [Lane; LANES],
}

struct Slot<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Pins of each slot; a cache line.
#[repr(align(64))]
struct Lane([AtomicU32; SLOTS]);

/// The lane of the calling thread. Stacks are megabytes apart, with a guard page between them (pthread_create(3)), so
/// that the page numbers of neighbours differ in their last bits.
fn lane() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr() / 4096 % LANES
}

impl<T> Slot<T> {
    const fn new() -> Self {
        Self { state: AtomicU8::new(FREE), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }
}

// SAFETY: values are shared between threads and dropped by any of them; the protocol above keeps them apart.
unsafe impl<T: Send + Sync> Sync for Slots<T> {}

/// The right to look at the value of a slot. Its number is a valid index.
pub(super) struct Pin<'s, T> {
    owner: &'s Slots<T>,
    slot: &'s Slot<T>,
    pins: &'s AtomicU32,
    number: usize,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self {
            current: AtomicUsize::new(0),
            slots: [const { Slot::new() }; SLOTS],
            lanes: [const { Lane([const { AtomicU32::new(0) }; SLOTS]) }; LANES],
        }
    }

    /// Pins a slot, whatever is in it.
    fn hold(&self, number: usize) -> Option<Pin<'_, T>> {
        let index = number.checked_sub(1)?;
        let (slot, pins) = (self.slots.get(index)?, self.lanes.get(lane())?.0.get(index)?);
        pins.fetch_add(1, SeqCst);
        Some(Pin { owner: self, slot, pins, number })
    }

    fn is_pinned(&self, number: usize) -> bool {
        let pins = self.lanes.iter().filter_map(|lane| lane.0.get(number.checked_sub(1)?));
        pins.into_iter().any(|pins| pins.load(SeqCst) != 0)
    }

    /// The current value.
    pub(super) fn pin(&self) -> Option<Pin<'_, T>> {
        loop {
            let number = self.current.load(SeqCst);
            let pin = self.hold(number)?;
            if self.current.load(SeqCst) == number {
                return Some(pin);
            }
        }
    }

    /// Makes `value` the current one in the place of `seen` (of none, where that is `None`).
    ///
    /// # Errors
    /// Gives the value back if another thread was faster or no slot is free.
    pub(super) fn replace(&self, seen: Option<&Pin<'_, T>>, value: T) -> Result<Pin<'_, T>, T> {
        let free = self.slots.iter().position(|slot| slot.turn(FREE, BUSY));
        let Some(pin) = free.and_then(|index| self.hold(index + 1)) else { return Err(value) };
        let slot = pin.slot;
        // SAFETY: the slot is BUSY by this thread, and was never current since it was FREE: nobody else looks.
        unsafe { (*slot.value.get()).write(value) };
        let seen = seen.map_or(0, |pin| pin.number);
        if self.current.compare_exchange(seen, pin.number, SeqCst, SeqCst).is_ok() {
            slot.state.store(LIVE, SeqCst);
            return Ok(pin);
        }
        // SAFETY: written above, never current, so nobody has looked; FREE forgets it, so it is taken once.
        let value = unsafe { (*slot.value.get()).assume_init_read() };
        slot.state.store(FREE, SeqCst);
        Err(value)
    }

    /// Makes none the current one, if `seen` still is.
    pub(super) fn clear(&self, seen: &Pin<'_, T>) {
        let _ = self.current.compare_exchange(seen.number, 0, SeqCst, SeqCst);
    }

    /// Drops the value of a slot that nobody reads and nobody will.
    #[cold]
    fn empty(&self, slot: &Slot<T>, number: usize) {
        let unused = || self.current.load(SeqCst) != number && !self.is_pinned(number);
        while unused() && slot.turn(LIVE, BUSY) {
            if unused() {
                // SAFETY: LIVE says it is written; BUSY by this thread and unused, so nobody looks (see above).
                unsafe { (*slot.value.get()).assume_init_drop() };
                slot.state.store(FREE, SeqCst);
                return;
            }
            slot.state.store(LIVE, SeqCst);
        }
    }
}

impl<T> Deref for Pin<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: a pin is only given out for a slot that was current, hence written, after it was pinned.
        unsafe { (*self.slot.value.get()).assume_init_ref() }
    }
}

impl<T> Drop for Pin<'_, T> {
    fn drop(&mut self) {
        self.pins.fetch_sub(1, SeqCst);
        if self.owner.current.load(SeqCst) != self.number {
            self.owner.empty(self.slot, self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

    static LIVING: AtomicI64 = AtomicI64::new(0);

    /// By each of two writers. Miri tries other orders of the threads instead.
    const REPLACEMENTS: usize = if cfg!(miri) { 100 } else { 20_000 };

    /// A value that shows when it is read after it was dropped.
    struct Canary {
        once: usize,
        twice: AtomicUsize,
    }

    impl Canary {
        fn new(number: usize) -> Self {
            LIVING.fetch_add(1, Relaxed);
            Self { once: number, twice: AtomicUsize::new(2 * number) }
        }

        fn is_whole(&self) -> bool {
            self.twice.load(Relaxed) == 2 * self.once
        }
    }

    impl Drop for Canary {
        fn drop(&mut self) {
            assert!(self.is_whole(), "dropped twice");
            self.twice.store(usize::MAX, Relaxed);
            LIVING.fetch_sub(1, Relaxed);
        }
    }

    fn replace_current(slots: &Slots<Canary>, number: usize) -> bool {
        let seen = slots.pin();
        slots.replace(seen.as_ref(), Canary::new(number)).is_ok()
    }

    /// One test, since it counts what lives.
    #[test]
    fn readers_see_whole_values_while_writers_replace_them_and_only_the_last_one_stays() {
        let slots = Slots::<Canary>::new();
        let stop = AtomicBool::new(false);
        let read = || {
            let mut reads = 0_usize;
            while !stop.load(Relaxed) || reads == 0 {
                if let Some(pin) = slots.pin() {
                    assert!(pin.is_whole());
                    std::hint::spin_loop();
                    assert!(pin.is_whole(), "dropped while it was pinned");
                    reads += 1;
                }
            }
        };
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..6).map(|_| scope.spawn(read)).collect();
            let writers: Vec<_> = (0..2)
                .map(|writer| {
                    let slots = &slots;
                    scope.spawn(move || {
                        (0..REPLACEMENTS).filter(|n| replace_current(slots, 2 * n + writer)).count()
                    })
                })
                .collect();
            let replaced: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
            assert!(replaced > REPLACEMENTS / 20, "{replaced}");
            slots.clear(&slots.pin().unwrap());
            while !replace_current(&slots, 7) {}
            stop.store(true, Relaxed);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
        assert_eq!(slots.pin().map(|pin| pin.once), Some(7));
        assert_eq!(LIVING.load(Relaxed), 1);

        // What a forked child inherits: pins that nobody will ever drop.
        for number in 0..SLOTS {
            std::mem::forget(slots.pin());
            assert_eq!(replace_current(&slots, number), number + 1 < SLOTS);
        }
        assert!(slots.pin().is_some_and(|pin| pin.is_whole()));
    }

    #[test]
    fn a_value_goes_when_it_is_neither_current_nor_pinned() {
        let slots = Slots::new();
        let value = std::sync::Arc::new(());
        let pin = slots.replace(None, value.clone()).unwrap();
        slots.clear(&pin);
        assert!(slots.pin().is_none());
        assert_eq!(std::sync::Arc::strong_count(&value), 2);
        drop(pin);
        assert_eq!(std::sync::Arc::strong_count(&value), 1);
    }
}
