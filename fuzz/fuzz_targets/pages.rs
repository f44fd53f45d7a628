//! Changes to a published database where its structure is: pages, cells, keys, lengths, columns, overflow chains. Bytes
//! changed at random hardly ever meet the few that steer a reader.

use shared::snapshot::{APPLICATION_ID, FORMAT, PAGE_SIZE};

/// Knuth's MMIX generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    fn among<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// A table b-tree page, as far as its header can be believed.
struct Node {
    /// Offset of its header in the page.
    start: usize,
    leaf: bool,
    cells: usize,
}

impl Node {
    fn at(page: &[u8], number: usize) -> Option<Self> {
        let start = if number == 0 { 100 } else { 0 };
        let leaf = match page.get(start)? {
            0x0d => true,
            0x05 => false,
            _ => return None,
        };
        let cells = usize::from(u16::from_be_bytes([page[start + 3], page[start + 4]]));
        let most = (PAGE_SIZE - start - 12) / 2;
        Some(Self { start, leaf, cells: cells.min(most) })
    }

    fn pointer(&self, cell: usize) -> usize {
        self.start + if self.leaf { 8 } else { 12 } + 2 * cell
    }
}

/// One to four changes; the same for the same seed.
pub fn change(bytes: &mut [u8], seed: u32) {
    let mut dice = Dice(u64::from(seed) << 20 | 0x5eed);
    for _ in 0..=dice.below(4) {
        let pages = bytes.len() / PAGE_SIZE;
        if pages == 0 {
            return;
        }
        let number = dice.below(pages);
        if dice.below(16) == 0 {
            exchange_pages(bytes, number, dice.below(pages), dice.below(2) == 0);
            continue;
        }
        let Some(page) = bytes.get_mut(number * PAGE_SIZE..(number + 1) * PAGE_SIZE) else { return };
        match Node::at(page, number) {
            Some(node) => change_node(page, &node, number, pages, &mut dice),
            None => change_overflow(page, number, pages, &mut dice),
        }
    }
}

fn exchange_pages(bytes: &mut [u8], one: usize, other: usize, both: bool) {
    let range = |number| number * PAGE_SIZE..(number + 1) * PAGE_SIZE;
    let (Some(first), Some(second)) =
        (bytes.get(range(one)).map(<[u8]>::to_vec), bytes.get(range(other)).map(<[u8]>::to_vec))
    else {
        return;
    };
    bytes[range(other)].copy_from_slice(&first);
    if both {
        bytes[range(one)].copy_from_slice(&second);
    }
}

/// A page number that is interesting to `number` (from zero) in a file of `pages`.
fn page_number(number: usize, pages: usize, dice: &mut Dice) -> u32 {
    let number = number as u32 + 1;
    match dice.below(6) {
        0 => number,
        1 => 0,
        2 => pages as u32 + 1,
        3 => u32::MAX,
        _ => dice.below(pages) as u32 + 1,
    }
}

fn change_overflow(page: &mut [u8], number: usize, pages: usize, dice: &mut Dice) {
    match dice.below(3) {
        0 => page[..4].copy_from_slice(&page_number(number, pages, dice).to_be_bytes()),
        1 => page[0] = dice.among(&[0x05, 0x0d]),
        _ => {
            let at = dice.below(PAGE_SIZE);
            page[at] = dice.among(&[0, 1, b':', b'\n', b',', b' ', 0x7f, 0x80, 0xff]);
        }
    }
}

fn change_node(page: &mut [u8], node: &Node, number: usize, pages: usize, dice: &mut Dice) {
    let start = node.start;
    match dice.below(12) {
        0 => {
            let count = dice.among(&[
                0,
                1,
                2,
                node.cells as u16 + 1,
                (node.cells as u16).wrapping_sub(1),
                2047,
                u16::MAX,
            ]);
            page[start + 3..start + 5].copy_from_slice(&count.to_be_bytes());
        }
        1 => page[start] = dice.among(&[0x05, 0x0d, 0x02, 0x0a, 0]),
        2 if !node.leaf => {
            page[start + 8..start + 12].copy_from_slice(&page_number(number, pages, dice).to_be_bytes());
        }
        _ if node.cells == 0 => page[dice.below(PAGE_SIZE)] ^= 1 << dice.below(8),
        3 | 4 => change_pointer(page, node, dice),
        _ => change_cell(page, node, number, pages, dice),
    }
}

fn change_pointer(page: &mut [u8], node: &Node, dice: &mut Dice) {
    let to = node.pointer(dice.below(node.cells));
    let from = node.pointer(dice.below(node.cells));
    let (low, high) = (page[from], page[from + 1]);
    let random = dice.below(PAGE_SIZE) as u16;
    let [low, high] = dice.among(&[
        [low, high],
        4095_u16.to_be_bytes(),
        4092_u16.to_be_bytes(),
        4096_u16.to_be_bytes(),
        u16::MAX.to_be_bytes(),
        random.to_be_bytes(),
    ]);
    page[to] = low;
    page[to + 1] = high;
}

fn change_cell(page: &mut [u8], node: &Node, number: usize, pages: usize, dice: &mut Dice) {
    let pointer = node.pointer(dice.below(node.cells));
    let cell = usize::from(u16::from_be_bytes([page[pointer], page[pointer + 1]]));
    if !node.leaf {
        match dice.below(2) {
            0 => write(page, cell, &page_number(number, pages, dice).to_be_bytes()),
            _ => write_varint(page, cell + 4, dice),
        }
        return;
    }
    let (length, key) = varint(page, cell);
    let (_, header) = varint(page, key);
    let (size, types) = varint(page, header);
    let values = header.saturating_add(size as usize);
    match dice.below(8) {
        0 => write_varint(page, cell, dice),
        1 => write_varint(page, key, dice),
        2 => write_varint(page, header, dice),
        3 | 4 => {
            // The serial type of one of the columns.
            let mut at = types;
            for _ in 0..dice.below(13) {
                at = varint(page, at).1;
            }
            write_varint(page, at, dice);
        }
        5 => {
            // The number of the first overflow page, where the row has one.
            if let Some(local) = local_length(length) {
                write(page, header + local, &page_number(number, pages, dice).to_be_bytes());
            }
        }
        6 => {
            let at = values + dice.below(1 + (length as usize).min(600));
            write(page, at, &[dice.among(&[0, 1, b':', b'\n', b',', b'/', 0x7f, 0x80, 0xff, b'a'])]);
        }
        _ => {
            let at = values + dice.below(1 + (length as usize).min(600));
            let value = dice.among(&[0, 1, 999, 1000, 65534, u32::MAX, pages as u32, pages as u32 + 1]);
            write(page, at, &value.to_be_bytes());
        }
    }
}

/// Bytes of a row that stand in its leaf when it has overflow pages (SQLite file format, section 1.6).
fn local_length(length: u64) -> Option<usize> {
    let length = usize::try_from(length).ok().filter(|length| (4062..1 << 31).contains(length))?;
    let local = 489 + (length - 489) % 4092;
    Some(if local <= 4061 { local } else { 489 })
}

/// The value, and the offset behind it; nothing of the reader's own code, which is what is tested.
fn varint(page: &[u8], mut at: usize) -> (u64, usize) {
    let mut value = 0_u64;
    for _ in 0..9 {
        let Some(byte) = page.get(at) else { break };
        at += 1;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value, at)
}

/// An integer of any width in the place of another: what follows may be overwritten, or left over.
fn write_varint(page: &mut [u8], at: usize, dice: &mut Dice) {
    let (old, _) = varint(page, at);
    let random = dice.below(1 << 20) as u64;
    let value = dice.among(&[
        0,
        1,
        7,
        8,
        10,
        11,
        12,
        13,
        127,
        128,
        4061,
        4062,
        16_383,
        16_384,
        old.wrapping_add(1),
        old.wrapping_sub(1),
        old.wrapping_add(2),
        old << 1,
        i64::MAX as u64,
        1 << 63,
        u64::MAX,
        random,
    ]);
    if dice.below(4) == 0 {
        // As long as it can be: nine bytes, the last whole.
        write(
            page,
            at,
            &dice.among(&[[0xff; 9], [0x80; 9], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 5]]),
        );
        return;
    }
    let mut bytes = [0; 10];
    let (mut rest, mut first) = (value >> 7, 9);
    bytes[9] = (value & 0x7f) as u8;
    while rest > 0 && first > 1 {
        first -= 1;
        bytes[first] = 0x80 | (rest & 0x7f) as u8;
        rest >>= 7;
    }
    write(page, at, &bytes[first..]);
}

fn write(page: &mut [u8], at: usize, bytes: &[u8]) {
    for (slot, byte) in page.iter_mut().skip(at).zip(bytes) {
        *slot = *byte;
    }
}

/// Makes whole where the reader would stop at once: the length, the header and the number of pages. Gives the length.
pub fn make_whole(bytes: &mut [u8], size: usize) -> usize {
    let most = bytes.len() / PAGE_SIZE;
    let pages = (size / PAGE_SIZE).clamp(1, most.max(1));
    let size = (pages * PAGE_SIZE).min(bytes.len());
    if let Some(header) = bytes.get_mut(..size).and_then(|bytes| bytes.first_chunk_mut::<100>()) {
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[16..21].copy_from_slice(&[0x10, 0, 3, 1, 0]);
        header[28..32].copy_from_slice(&(pages as u32).to_be_bytes());
        header[56..60].copy_from_slice(&1_u32.to_be_bytes());
        header[60..64].copy_from_slice(&FORMAT.to_be_bytes());
        header[68..72].copy_from_slice(&APPLICATION_ID.to_be_bytes());
    }
    size
}
