//! Table b-trees: the row with a given key, and its columns. Read-only, without recursion; whatever the bytes say, the
//! work is bounded by [`DEPTH`] pages and by the length of the row. Section numbers are those of
//! <https://www.sqlite.org/fileformat2.html>.

use super::SnapshotError;
use super::file::{PAGE_SIZE, Page, Pages, be16, be32, varint, varint_value};
use super::search::{Around, lower_bound};
use crate::words::filled_up;

/// Deepest tree, as in SQLite itself (BTCURSOR_MAX_DEPTH): cycles end here.
const DEPTH: usize = 20;
/// Most bytes of a row that stand in its leaf alone, and fewest that do when it spills over (§1.6, with usable size U:
/// X = U - 35, M = (U - 12) * 32 / 255 - 23).
const LOCAL_MOST: usize = PAGE_SIZE - 35;
const LOCAL_LEAST: usize = (PAGE_SIZE - 12) * 32 / 255 - 23;
/// Bytes of the row on an overflow page; the first four are the number of the next.
const OVERFLOW: usize = PAGE_SIZE - 4;

const NO_CELL: SnapshotError = SnapshotError::Damaged("a cell outside its page");
const NO_COLUMN: SnapshotError = SnapshotError::Damaged("a row shorter than its columns");

/// A row: its key and the columns behind it.
pub(super) struct Row<'a> {
    pub(super) key: i64,
    pub(super) columns: Columns<'a>,
}

/// The first row of the table at `root` whose key is `key` or larger.
pub(super) fn seek<'a>(pages: Pages<'a>, root: u32, key: i64) -> Result<Option<Row<'a>>, SnapshotError> {
    let mut number = root;
    // The subtree that follows the one we went into, from the deepest level that has one.
    let mut following = None;
    let mut around = Around::NOTHING;
    for _ in 0..2 * DEPTH {
        let node = Node::open(pages, number)?;
        let index = lower_bound(node.cells(), key, &mut around, |index| node.key(index))?;
        if !node.leaf {
            if index < node.cells() {
                following = Some(node.child(index + 1)?);
            }
            number = node.child(index)?;
        } else if index < node.cells() {
            return node.row(pages, index).map(Some);
        } else if let Some(next) = following.take() {
            // All of this leaf is smaller, although its parent promised otherwise: the largest row was deleted.
            number = next;
            around = Around::NOTHING;
        } else {
            return Ok(None);
        }
    }
    Err(SnapshotError::Damaged("a tree that is too deep"))
}

/// How many rows the table at `root` has.
pub(super) fn count(pages: Pages<'_>, root: u32) -> Result<usize, SnapshotError> {
    count_below(pages, root, DEPTH, &mut pages.number())
}

/// `unseen`: a tree has each page once.
fn count_below(
    pages: Pages<'_>,
    number: u32,
    depth: usize,
    unseen: &mut usize,
) -> Result<usize, SnapshotError> {
    const CIRCLE: SnapshotError = SnapshotError::Damaged("a tree that is too deep or has a page twice");
    let node = Node::open(pages, number)?;
    if node.leaf {
        return Ok(node.cells());
    }
    let (depth, mut rows) = (depth.checked_sub(1).ok_or(CIRCLE)?, 0);
    for index in 0..=node.cells() {
        *unseen = unseen.checked_sub(1).ok_or(CIRCLE)?;
        rows += count_below(pages, node.child(index)?, depth, unseen)?;
    }
    Ok(rows)
}

/// A page of a table b-tree (§1.6).
struct Node<'a> {
    page: &'a Page,
    leaf: bool,
    /// Offsets of the cells, in the order of their keys.
    pointers: &'a [[u8; 2]],
    /// The child right of every cell; interior pages only.
    right: u32,
}

impl<'a> Node<'a> {
    fn open(pages: Pages<'a>, number: u32) -> Result<Self, SnapshotError> {
        let page = pages.page(number)?;
        // The first page begins with the header of the file.
        let start = if number == 1 { 100 } else { 0 };
        let leaf = match page.get(start) {
            Some(0x0d) => true,
            Some(0x05) => false,
            _ => return Err(SnapshotError::Damaged("a page that belongs to no table")),
        };
        let cells = usize::from(be16(page, start + 3).ok_or(NO_CELL)?);
        let right = if leaf { 0 } else { be32(page, start + 8).ok_or(NO_CELL)? };
        let first = start + if leaf { 8 } else { 12 };
        let pointers = page.get(first..first + 2 * cells).ok_or(NO_CELL)?.as_chunks().0;
        Ok(Self { page, leaf, pointers, right })
    }

    fn cells(&self) -> usize {
        self.pointers.len()
    }

    fn cell(&self, index: usize) -> Option<&'a [u8]> {
        let offset = u16::from_be_bytes(*self.pointers.get(index)?);
        self.page.get(usize::from(offset)..)
    }

    #[inline(always)]
    fn key(&self, index: usize) -> Result<i64, SnapshotError> {
        let cell = self.cell(index).ok_or(NO_CELL)?;
        let at_key = if self.leaf { behind_length(cell) } else { cell.get(4..) };
        at_key.and_then(varint_value).map(u64::cast_signed).ok_or(NO_CELL)
    }

    /// The page left of cell `index`, or right of all of them.
    fn child(&self, index: usize) -> Result<u32, SnapshotError> {
        if index == self.cells() {
            return Ok(self.right);
        }
        self.cell(index).and_then(|cell| be32(cell, 0)).ok_or(NO_CELL)
    }

    fn row(&self, pages: Pages<'a>, index: usize) -> Result<Row<'a>, SnapshotError> {
        let cell = self.cell(index).ok_or(NO_CELL)?;
        let (length, rest) = varint(cell).ok_or(NO_CELL)?;
        let (key, rest) = varint(rest).ok_or(NO_CELL)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= pages.total()).ok_or(NO_CELL)?;
        let local = local_length(length);
        let (payload, after) = rest.split_at_checked(local).ok_or(NO_CELL)?;
        let overflow = if local < length { be32(after, 0).ok_or(NO_CELL)? } else { 0 };
        Ok(Row { key: key.cast_signed(), columns: Columns::open(pages, payload, overflow)? })
    }
}

/// What follows the length of a row, which is nearly always one or two bytes.
#[inline(always)]
fn behind_length(cell: &[u8]) -> Option<&[u8]> {
    match cell {
        [0..0x80, rest @ ..] | [_, 0..0x80, rest @ ..] => Some(rest),
        _ => varint(cell).map(|(_, rest)| rest),
    }
}

/// How many bytes of a row stand in its leaf (§1.6).
fn local_length(length: usize) -> usize {
    if length <= LOCAL_MOST {
        return length;
    }
    let least = LOCAL_LEAST + (length - LOCAL_LEAST) % OVERFLOW;
    if least <= LOCAL_MOST { least } else { LOCAL_LEAST }
}

/// The columns of a row, read from left to right (§2.1). All but the last must stand in the leaf.
#[derive(Clone)]
pub(super) struct Columns<'a> {
    pages: Pages<'a>,
    /// Serial types that are left.
    types: &'a [u8],
    /// Values that are left, as far as they stand in the leaf.
    values: &'a [u8],
    overflow: u32,
}

impl<'a> Columns<'a> {
    fn open(pages: Pages<'a>, payload: &'a [u8], overflow: u32) -> Result<Self, SnapshotError> {
        let (size, rest) = varint(payload).ok_or(NO_COLUMN)?;
        // The size counts its own bytes.
        let types = usize::try_from(size).ok().and_then(|size| size.checked_sub(payload.len() - rest.len()));
        let (types, values) = types.and_then(|types| rest.split_at_checked(types)).ok_or(NO_COLUMN)?;
        Ok(Self { pages, types, values, overflow })
    }

    fn serial_type(&mut self) -> Result<u64, SnapshotError> {
        let (serial, rest) = varint(self.types).ok_or(NO_COLUMN)?;
        self.types = rest;
        Ok(serial)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], SnapshotError> {
        let length = usize::try_from(length).map_err(|_| NO_COLUMN)?;
        let (value, rest) = self.values.split_at_checked(length).ok_or(NO_COLUMN)?;
        self.values = rest;
        Ok(value)
    }

    /// What stands in the leaf of the columns that are left, one behind the other.
    pub(super) fn values(&self) -> &'a [u8] {
        self.values
    }

    /// Over an INTEGER PRIMARY KEY, which is stored as NULL: the row's key stands for it.
    pub(super) fn skip_key(&mut self) -> Result<(), SnapshotError> {
        match self.serial_type()? {
            0 => Ok(()),
            _ => Err(SnapshotError::Damaged("a key column that is not NULL")),
        }
    }

    pub(super) fn optional_integer(&mut self) -> Result<Option<i64>, SnapshotError> {
        let serial = self.serial_type()?;
        // Without a jump table, which would be one more place that a lookup touches.
        if serial == 0 {
            return Ok(None);
        }
        if serial > 6 {
            let constant = serial.wrapping_sub(8);
            let known = (constant <= 1).then_some(Some(constant.cast_signed()));
            return known.ok_or(SnapshotError::Damaged("a column that is no integer"));
        }
        // Types 1 to 4 are as many bytes long, 5 and 6 are six and eight.
        let length = serial + u64::from(serial > 4) + u64::from(serial > 5);
        let word = self.values.first_chunk().copied().unwrap_or_else(|| filled_up(self.values, 0));
        self.take(length)?;
        // Two's complement, big-endian.
        Ok(Some(i64::from_be_bytes(word) >> (64 - 8 * length)))
    }

    pub(super) fn integer(&mut self) -> Result<i64, SnapshotError> {
        self.optional_integer()?.ok_or(SnapshotError::Damaged("a column that is NULL"))
    }

    pub(super) fn text(&mut self) -> Result<&'a [u8], SnapshotError> {
        match self.serial_type()? {
            serial if serial >= 13 && serial % 2 == 1 => self.take((serial - 13) / 2),
            _ => Err(SnapshotError::Damaged("a column that is no text")),
        }
    }

    /// A BLOB that stands in the leaf.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], SnapshotError> {
        match self.serial_type()? {
            serial if serial >= 12 && serial % 2 == 0 => self.take((serial - 12) / 2),
            _ => Err(SnapshotError::Damaged("a column that is no BLOB")),
        }
    }

    /// The last column, which may continue on overflow pages.
    pub(super) fn blob(&mut self) -> Result<Blob<'a>, SnapshotError> {
        let serial = self.serial_type()?;
        if serial < 12 || serial % 2 == 1 {
            return Err(SnapshotError::Damaged("a column that is no BLOB"));
        }
        let length = usize::try_from((serial - 12) / 2).map_err(|_| NO_COLUMN)?;
        let local = self.values.get(..length).unwrap_or(self.values);
        if length > self.pages.total() || (local.len() < length && self.overflow == 0) {
            return Err(NO_COLUMN);
        }
        Ok(Blob { pages: self.pages, local, overflow: self.overflow, length })
    }
}

/// Bytes that may continue on overflow pages.
#[derive(Clone, Copy)]
pub struct Blob<'a> {
    pages: Pages<'a>,
    local: &'a [u8],
    overflow: u32,
    length: usize,
}

impl<'a> Blob<'a> {
    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Is there nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes in order, a page at a time. An error is the last item.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks { pages: self.pages, ready: Some(self.local), next: self.overflow, left: self.length }
    }
}

impl std::fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.length)
    }
}

/// The pieces of a [`Blob`].
pub struct Chunks<'a> {
    pages: Pages<'a>,
    ready: Option<&'a [u8]>,
    next: u32,
    left: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<&'a [u8], SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let chunk = match self.ready.take() {
            Some(local) => local,
            None => match self.overflow() {
                Ok(chunk) => chunk,
                Err(error) => {
                    self.left = 0;
                    return Some(Err(error));
                }
            },
        };
        self.left = self.left.saturating_sub(chunk.len());
        Some(Ok(chunk))
    }
}

impl<'a> Chunks<'a> {
    /// The next overflow page; each brings at least one byte, so that the number of them is bounded by the length.
    fn overflow(&mut self) -> Result<&'a [u8], SnapshotError> {
        let page = self.pages.page(self.next)?;
        let (next, data) = page.split_first_chunk().ok_or(NO_COLUMN)?;
        self.next = u32::from_be_bytes(*next);
        Ok(data.get(..self.left).unwrap_or(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_row_in_its_leaf_is_what_the_format_says() {
        // From the formulas of §1.6 for U = 4096: X = 4061, M = 489.
        assert_eq!((LOCAL_MOST, LOCAL_LEAST), (4061, 489));
        assert_eq!(local_length(4061), 4061);
        assert_eq!(local_length(4062), 489);
        assert_eq!(local_length(5000), 489 + (5000 - 489) % 4092);
        assert_eq!(local_length(489 + 4092 * 3), 489);
        assert!((4062..50_000).all(|length| (489..=4061).contains(&local_length(length))));
    }
    #[test]
    fn an_integer_is_as_long_as_its_type_says_at_the_end_of_a_row_too() {
        let cases: [(u8, &[u8], Option<i64>); 10] = [
            (0, &[], None),
            (8, &[], Some(0)),
            (9, &[], Some(1)),
            (1, &[0xff], Some(-1)),
            (2, &[0x80, 0], Some(-32_768)),
            (3, &[1, 0, 2], Some(65_538)),
            (4, &[0x7f, 0xff, 0xff, 0xff], Some(0x7fff_ffff)),
            (5, &[0xff, 0xff, 0, 0, 0, 0], Some(-1 << 32)),
            (6, &[0x7f, 1, 2, 3, 4, 5, 6, 7], Some(0x7f01_0203_0405_0607)),
            (6, &[0x80, 0, 0, 0, 0, 0, 0, 0], Some(i64::MIN)),
        ];
        let read = |serial: u8, values: &[u8]| {
            let (types, pages) = ([serial], Pages::reopen(&[]));
            let mut columns = Columns { pages, types: &types, values, overflow: 0 };
            columns.optional_integer().map(|number| (number, columns.values.len())).ok()
        };
        for (serial, bytes, number) in cases {
            for behind in 0..10 {
                let values = [bytes, &[0xa5; 10][..behind]].concat();
                assert_eq!(read(serial, &values), Some((number, behind)), "type {serial}");
            }
            assert!(bytes.is_empty() || read(serial, &bytes[1..]).is_none());
        }
        for serial in [7, 10, 11, 12, 13, 127] {
            assert_eq!(read(serial, &[0; 16]), None);
        }
    }
}
