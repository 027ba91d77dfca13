//! Asks before something is lost.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::term::printable::printable_lines;

/// Asks on the terminal whether to go on; with `yes` it does not ask.
///
/// # Errors
/// `refused` if the answer is no or stdin is not a terminal; `stopped` on a signal.
pub(super) fn confirm(question: &str, yes: bool, context: &Context) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(
            Error::refused(format!("{question} There is no terminal to answer on"))
                .hint("`--yes` answers for you"),
        );
    }
    eprint!("{} [y/N] ", printable_lines(question));
    wait_for_stdin(context)?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|source| Error::io("read the answer", source))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::refused("nothing was changed")),
    }
}

/// Waits here instead of in the read, so that a signal is noticed.
fn wait_for_stdin(context: &Context) -> Result<()> {
    let stdin = io::stdin();
    let stdin = stdin.as_fd();
    let look = Timespec {
        tv_sec: 0,
        tv_nsec: Duration::from_millis(50).subsec_nanos().into(),
    };
    loop {
        context.interrupt.check()?;
        match rustix::event::poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&look)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(Error::io("read the answer", errno.into())),
        }
    }
}
