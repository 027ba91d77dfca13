//! The Java that runs Kafka: where it is, and whether it is new enough.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::stack::command::{Call, Runner, find_program};
use crate::stack::engine::install_command_here;

/// The oldest Java that Kafka's broker runs on since 4.0.
const OLDEST: u32 = 17;

/// A Java that Kafka can run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Java {
    /// Its program.
    pub program: PathBuf,
    /// Its version, in its own words: `17.0.15`.
    pub version: String,
}

impl Java {
    /// Returns the Java of JAVA_HOME, else of the PATH.
    ///
    /// # Errors
    /// `refused` where there is none, or one that is too old; `stopped` after a signal.
    pub fn find(runner: &Runner) -> Result<Self> {
        let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
        let program = home
            .filter(|program| program.is_file())
            .or_else(|| find_program("java"))
            .ok_or_else(missing)?;
        let call = Call::new(&program.to_string_lossy(), ["-version"]);
        let outcome = runner.run(&call, |_| ())?;
        // macOS has a `java` that only says where to get one.
        let version = parse_version(&outcome.stderr).filter(|_| outcome.status.success());
        let (version, major) = version.ok_or_else(missing)?;
        if major < OLDEST {
            let program = program.display();
            return Err(Error::refused(format!(
                "`{program}` is Java {version}; Apache Kafka needs Java {OLDEST} or newer"
            ))
            .hint(install()));
        }
        let version = version.to_owned();
        Ok(Java { program, version })
    }
}

fn missing() -> Error {
    Error::refused(format!(
        "Java is not installed; Apache Kafka needs Java {OLDEST} or newer"
    ))
    .hint(install())
}

fn install() -> String {
    let command = install_command_here("");
    let package = match () {
        () if command.starts_with("brew") => "openjdk@17",
        () if command.contains("dnf") => "java-21-openjdk-headless",
        () if command.contains("pacman") => "jre-openjdk-headless",
        () if command.contains("apk") => "openjdk17-jre-headless",
        () if command.contains("zypper") => "java-17-openjdk-headless",
        () => "openjdk-17-jre-headless",
    };
    format!("install it with `{command}{package}`, or set JAVA_HOME")
}

/// Returns the version and its first number from what `java -version` says:
/// `openjdk version "17.0.15" 2025-04-15`; `java version "1.8.0_292"` is Java 8.
fn parse_version(said: &str) -> Option<(&str, u32)> {
    let line = said.lines().find(|line| line.contains(" version \""))?;
    let version = line.split('"').nth(1)?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let major = match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok()?,
        major => major,
    };
    Some((version, major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_java_says_its_version() {
        let said = "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment";
        assert_eq!(parse_version(said), Some(("17.0.15", 17)));
        let picked_up = "Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njava version \"1.8.0_292\"\n";
        assert_eq!(parse_version(picked_up), Some(("1.8.0_292", 8)));
        assert_eq!(
            parse_version("openjdk version \"25-ea\""),
            Some(("25-ea", 25))
        );
        assert_eq!(parse_version("Unable to locate a Java Runtime."), None);
    }
}
