//! The audit trail: table `event`.

use super::people::{event, seconds};
use super::{By, Store, StoreError};

impl Store {
    /// Adds a line about the machine, not about a person. `kind` is a word, `detail` for a reader.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn audit(&mut self, kind: &str, detail: &str, by: By<'_>) -> Result<(), StoreError> {
        event(&self.connection, seconds(by.now), kind, "", by.actor, detail)
    }
}
