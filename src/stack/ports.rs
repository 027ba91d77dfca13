//! Ports of this machine: which are free, who holds the others.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How far above its usual port a service is moved.
const TRIES: u16 = 100;

/// Returns whether nothing listens at `port` of this machine and something could.
pub fn is_free(port: u16) -> bool {
    // Binding alone is not a proof: on macOS it succeeds beside a listener on all addresses.
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&local, Duration::from_millis(200)).is_err()
        && TcpListener::bind(local).is_ok()
}

/// Returns `wanted` or the next port above it that is free and not `given` to another service.
pub fn next_free(wanted: u16, given: &[u16], is_free: impl Fn(u16) -> bool) -> Option<u16> {
    (wanted..=wanted.saturating_add(TRIES)).find(|port| !given.contains(port) && is_free(*port))
}

/// Returns who listens at `port`, by a readable name: `java (process 4242)`. `None` where that
/// cannot be seen: the program is another user's, or the system is not Linux.
pub fn holder(port: u16) -> Option<String> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening_sockets(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?;
    for process in processes.flatten() {
        let id = process.file_name();
        if !id.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue; // `self`, and what is no process
        }
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|target| {
                sockets
                    .iter()
                    .any(|socket| target.as_os_str() == socket.as_str())
            });
        if holds {
            let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
            return Some(format!(
                "`{}` (process {})",
                name.trim(),
                id.to_string_lossy()
            ));
        }
    }
    None
}

/// Returns the inodes of the sockets that listen at `port`, from the text of `/proc/net/tcp`:
/// column 1 is the local address, 3 the state (0A: listening), 9 the inode.
fn listening_sockets(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let listens = columns.get(1)?.ends_with(&suffix) && *columns.get(3)? == "0A";
            columns
                .get(9)
                .filter(|_| listens)
                .map(|inode| (*inode).to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_moves_the_service_up() {
        let taken = [8080, 8082];
        let is_free = |port| !taken.contains(&port);
        assert_eq!(next_free(8080, &[], is_free), Some(8081));
        assert_eq!(next_free(8080, &[8081], is_free), Some(8083));
        assert_eq!(next_free(8080, &[], |_| false), None);
        assert_eq!(next_free(65_535, &[65_535], |_| true), None);
    }

    #[test]
    fn a_listener_holds_its_port_and_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        assert!(!is_free(port));
        if cfg!(target_os = "linux") {
            let own = format!("(process {})", std::process::id());
            assert!(
                holder(port).is_some_and(|who| who.ends_with(&own)),
                "{:?}",
                holder(port)
            );
        }
    }

    #[test]
    fn only_listening_sockets_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
            1: 0100007F:2384 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n";
        assert_eq!(listening_sockets(table, 9092), ["4711"]);
    }
}
