//! Socket options of a long, mostly silent connection.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// The kernel probes a silent connection after this long, ...
const KEEPALIVE_TIME: Duration = Duration::from_mins(1);
/// ... then this often, ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// ... and gives up after this many unanswered probes.
const KEEPALIVE_RETRIES: u32 = 4;

/// Small messages go out at once, and a vanished peer is noticed even if nobody sends.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
