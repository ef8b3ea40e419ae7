//! Service addresses and node ports: allocated and released inside the transaction that writes the Service.

use rusqlite::{OptionalExtension as _, params};

use super::{super::StoreError, Tx};

impl Tx<'_> {
    /// Gives `ip` to `owner` (`namespace/name`); `false` when somebody else has it.
    ///
    /// # Errors
    /// Database errors.
    pub fn take_service_ip(&mut self, ip: &str, owner: &str) -> Result<bool, StoreError> {
        self.db
            .prepare_cached("INSERT INTO svcip(ip,ref) VALUES(?1,?2) ON CONFLICT DO NOTHING")?
            .execute(params![ip, owner])?;
        let holder: String =
            self.db.prepare_cached("SELECT ref FROM svcip WHERE ip=?1")?.query_row([ip], |row| row.get(0))?;
        Ok(holder == owner)
    }

    /// Takes back `ip` if `owner` has it.
    ///
    /// # Errors
    /// Database errors.
    pub fn release_service_ip(&mut self, ip: &str, owner: &str) -> Result<(), StoreError> {
        self.db.prepare_cached("DELETE FROM svcip WHERE ip=?1 AND ref=?2")?.execute(params![ip, owner])?;
        Ok(())
    }

    /// Gives a node port to `owner`; `false` when somebody else has it for this protocol.
    ///
    /// # Errors
    /// Database errors.
    pub fn take_node_port(&mut self, port: u16, protocol: &str, owner: &str) -> Result<bool, StoreError> {
        self.db
            .prepare_cached("INSERT INTO svcport(port,proto,ref) VALUES(?1,?2,?3) ON CONFLICT DO NOTHING")?
            .execute(params![port, protocol, owner])?;
        let holder: Option<String> = self
            .db
            .prepare_cached("SELECT ref FROM svcport WHERE port=?1 AND proto=?2")?
            .query_row(params![port, protocol], |row| row.get(0))
            .optional()?;
        Ok(holder.as_deref() == Some(owner))
    }

    /// Takes back every node port of `owner` that is not in `keep` (port, protocol).
    ///
    /// # Errors
    /// Database errors.
    pub fn keep_node_ports(&mut self, owner: &str, keep: &[(u16, String)]) -> Result<(), StoreError> {
        let held: Vec<(u16, String)> = self
            .db
            .prepare_cached("SELECT port, proto FROM svcport WHERE ref=?1")?
            .query_map([owner], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (port, protocol) in held.iter().filter(|pair| !keep.contains(pair)) {
            self.db
                .prepare_cached("DELETE FROM svcport WHERE port=?1 AND proto=?2")?
                .execute(params![port, protocol])?;
        }
        Ok(())
    }
}
