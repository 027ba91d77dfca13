//! Kafka's own programs: in a folder that the user names, else fetched from Maven Central.
//!
//! What is fetched is known in advance, file by file, with its SHA-256: neither a mirror nor a proxy
//! can put something else in its place, and no description of dependencies has to be read.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::stack::command::Runner;
use crate::stack::compose::variable;
use crate::term::step::Step;
use crate::term::units;

/// The Kafka that is fetched, the same version as the image of the containers.
pub const VERSION: &str = "4.3.1";
/// A line for each file: its SHA-256, its bytes, its path in a Maven repository.
const LIST: &str = include_str!("kafka-4.3.1.sha256");
/// Where the files are fetched from, unless the variable says otherwise.
const CENTRAL: &str = "https://repo1.maven.org/maven2";
const CENTRAL_VARIABLE: &str = "K_MAVEN";
/// How long a server may stay silent.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);

/// A file of Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Jar {
    sha256: &'static str,
    bytes: u64,
    /// Below the repository's address.
    path: &'static str,
}

impl Jar {
    fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// Returns whether a folder holds it; its contents were checked when it came there.
    fn is_in(&self, folder: &Path) -> bool {
        let metadata = folder.join(self.name()).metadata();
        metadata.is_ok_and(|file| file.is_file() && file.len() == self.bytes)
    }
}

/// Returns the files of Kafka's broker and of what it needs.
fn jars() -> impl Iterator<Item = Jar> {
    LIST.lines().filter_map(|line| {
        let mut columns = line.split_whitespace();
        Some(Jar {
            sha256: columns.next()?,
            bytes: columns.next()?.parse().ok()?,
            path: columns.next()?,
        })
    })
}

/// A folder with Kafka's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The folder.
    pub folder: PathBuf,
    /// Where in it the jars are.
    pub libs: PathBuf,
    /// Kafka's version.
    pub version: String,
}

impl Home {
    /// Returns the Kafka of a folder: one of Apache's archives unpacked, one that [`fetch`] filled, or one
    /// that holds the jars themselves.
    ///
    /// # Errors
    /// `refused` when there is no Kafka in it.
    pub fn of(folder: &Path) -> Result<Self> {
        // The process that runs Kafka is in another folder.
        let folder = std::path::absolute(folder)
            .map_err(|source| Error::io(format!("find `{}`", folder.display()), source))?;
        for libs in [folder.join("libs"), folder.clone()] {
            if let Some(version) = version_in(&libs) {
                return Ok(Home {
                    folder,
                    libs,
                    version,
                });
            }
        }
        let shown = folder.display();
        Err(Error::refused(format!(
            "there is no Kafka in `{shown}`: neither `libs/kafka_2.13-….jar` nor `kafka_2.13-….jar`"
        ))
        .hint(format!("`k pull --to {shown}` fetches it")))
    }

    /// Returns the Kafka of `k`'s own cache, if all of it was fetched.
    pub fn cached() -> Option<Self> {
        let home = Home::of(&cache()?).ok()?;
        jars().all(|jar| jar.is_in(&home.libs)).then_some(home)
    }
}

/// Returns the version of the Kafka whose broker is among the jars of a folder, by its file's name.
fn version_in(libs: &Path) -> Option<String> {
    let files = std::fs::read_dir(libs).ok()?;
    files.flatten().find_map(|file| {
        let name = file.file_name();
        let (_, version) = name
            .to_str()?
            .strip_prefix("kafka_")?
            .strip_suffix(".jar")?
            .split_once('-')?;
        // Beside it may lie `kafka_2.13-3.9.1-sources.jar`.
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        version.chars().all(is_number).then(|| version.to_owned())
    })
}

/// Returns the folder that Kafka is fetched into: `$XDG_CACHE_HOME/k/broker-4.3.1`, else below
/// `~/.cache`. `None` where neither is known.
pub fn cache() -> Option<PathBuf> {
    let absolute = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("k").join(format!("broker-{VERSION}")))
}

/// Returns the address of the Maven repository: K_MAVEN, else Maven Central.
pub fn repository() -> String {
    let address = variable(CENTRAL_VARIABLE).unwrap_or_else(|| CENTRAL.to_owned());
    address.trim_end_matches('/').to_owned()
}

/// Returns what a fetch brings, for people: `Apache Kafka 4.3.1 (46 files, 45 MB)`.
pub fn description() -> String {
    let (count, bytes) = jars().fold((0, 0), |(count, bytes), jar| (count + 1, bytes + jar.bytes));
    let size = units::format_bytes(bytes);
    format!("Apache Kafka {VERSION} ({count} files, {size})")
}

/// Fetches Kafka into a folder, what of it is not there yet, and returns it.
///
/// # Errors
/// `refused` when the folder cannot be written, when the repository cannot be reached or when what it
/// sends is not the file; `stopped` after a signal. What came whole stays.
pub fn fetch(folder: &Path, runner: &Runner) -> Result<Home> {
    let libs = folder.join("libs");
    let missing: Vec<Jar> = jars().filter(|jar| !jar.is_in(&libs)).collect();
    if missing.is_empty() {
        return Home::of(folder);
    }
    std::fs::create_dir_all(&libs)
        .map_err(|source| Error::io(format!("make the folder `{}`", libs.display()), source))?;
    let repository = repository();
    let agent = agent();
    let step = Step::begin(runner.report(), format!("fetching {}", description()));
    let count = missing.len();
    for (number, jar) in (1..).zip(missing) {
        step.at(&format!("{number}/{count} {}", jar.name()));
        let url = format!("{repository}/{}", jar.path);
        runner.report().detail(format!("fetching {url}"));
        fetch_one(&agent, &url, jar, &libs, runner.interrupt())
            .map_err(|error| error.during(format!("fetching {url}")))?;
    }
    step.done(&format!("fetched {}", description()));
    Home::of(folder)
}

/// Returns a client that takes the certificates which this machine trusts, and the proxy of
/// HTTPS_PROXY, HTTP_PROXY or ALL_PROXY.
fn agent() -> ureq::Agent {
    use ureq::tls::{RootCerts, TlsConfig};
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
    ureq::Agent::config_builder()
        .tls_config(tls.build())
        .timeout_connect(Some(SERVER_TIMEOUT))
        .timeout_recv_response(Some(SERVER_TIMEOUT))
        .user_agent(concat!("k/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// Fetches one file, checks it, and only then gives it its name.
fn fetch_one(
    agent: &ureq::Agent,
    url: &str,
    jar: Jar,
    libs: &Path,
    interrupt: &Interrupt,
) -> Result<()> {
    let response = agent.get(url).call().map_err(|error| unreachable(&error))?;
    let mut body = response.into_body().into_reader();
    let part = tempfile::NamedTempFile::new_in(libs)
        .map_err(|source| Error::io(format!("write in `{}`", libs.display()), source))?;
    let (bytes, sha256) = copy(&mut body, part.as_file(), interrupt)?;
    if bytes != jar.bytes || sha256 != jar.sha256 {
        return Err(Error::refused(format!(
            "the download is not `{}`: {bytes} bytes with SHA-256 {sha256}, not {} with {}",
            jar.name(),
            jar.bytes,
            jar.sha256
        ))
        .hint(format!("a proxy may have sent a page of its own: check it, or name a mirror with {CENTRAL_VARIABLE}")));
    }
    let path = libs.join(jar.name());
    let keep = || {
        use std::os::unix::fs::PermissionsExt;
        // A teacher's folder is read by others.
        let readable = std::fs::Permissions::from_mode(0o644);
        part.as_file().set_permissions(readable)?;
        part.persist(&path).map_err(|error| error.error)
    };
    keep()
        .map(drop)
        .map_err(|source| Error::io(format!("write `{}`", path.display()), source))
}

/// Copies a body into a file and returns its bytes and its SHA-256.
fn copy(body: &mut impl Read, mut file: &File, interrupt: &Interrupt) -> Result<(u64, String)> {
    let mut digest = Context::new(&SHA256);
    let mut block = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        interrupt.check()?;
        let length = match body.read(&mut block) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) => return Err(unreachable(&ureq::Error::from(error))),
        };
        digest.update(&block[..length]);
        file.write_all(&block[..length])
            .map_err(|source| Error::io("write the file", source))?;
        bytes += length as u64;
    }
    let sha256 = digest.finish();
    let sha256 = sha256.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Ok((bytes, sha256.collect()))
}

fn unreachable(error: &ureq::Error) -> Error {
    let error = Error::retry(format!("the Maven repository does not answer: {error}"));
    error
        .hint(format!("behind a proxy, set HTTPS_PROXY; {CENTRAL_VARIABLE} names a mirror"))
        .hint("without a network: fill a folder elsewhere with `k pull --to DIR`, then `k start --kafka-home DIR`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_with_its_digest_and_its_size() {
        assert_eq!(jars().count(), LIST.lines().count());
        for jar in jars() {
            let is_hex = jar.sha256.chars().all(|c| c.is_ascii_hexdigit());
            assert!(jar.sha256.len() == 64 && is_hex && jar.bytes > 0, "{jar:?}");
            assert!(
                jar.path.ends_with(".jar") && !jar.path.contains(".."),
                "{jar:?}"
            );
        }
        let broker = format!("kafka_2.13-{VERSION}.jar");
        assert!(jars().any(|jar| jar.name() == broker));
    }

    #[test]
    fn a_folder_with_kafka_is_known_by_its_broker() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = Home::of(folder.path()).expect_err("it is empty");
        assert!(error.to_string().contains("no Kafka in"), "{error}");
        let libs = folder.path().join("libs");
        std::fs::create_dir(&libs).expect("a folder");
        for name in ["kafka_2.13-3.9.1-sources.jar", "kafka-clients-3.9.1.jar"] {
            std::fs::write(libs.join(name), "").expect("a file");
            assert_eq!(version_in(&libs), None, "{name}");
        }
        std::fs::write(libs.join("kafka_2.13-3.9.1.jar"), "").expect("a file");
        let home = Home::of(folder.path()).expect("a Kafka");
        assert_eq!((home.version.as_str(), &home.libs), ("3.9.1", &libs));
        assert_eq!(Home::of(&libs).expect("a Kafka").libs, libs);
    }

    #[test]
    fn what_is_copied_is_counted_and_digested() {
        let file = tempfile::tempfile().expect("a temporary file");
        let (bytes, sha256) =
            copy(&mut "abc".as_bytes(), &file, &Interrupt::default()).expect("copied");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((bytes, sha256.as_str()), (3, expected));
    }
}
