//! Logins by SASL: what is said to a broker, and what it has to answer.
//!
//! In: a name and a password. Out: messages, one after the other. SCRAM is RFC 5802 with the hashes of
//! RFC 7677, as Kafka speaks it: without channel binding, and with names and passwords as they are typed.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SecureRandom as _;
use ring::{digest, hmac, pbkdf2};

use super::super::security::{Login, Mechanism, Secret};

/// A login that goes on.
#[derive(Debug)]
pub struct Exchange {
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Nothing more is to be said.
    Silent,
    Scram(Box<Scram>),
    /// The broker has to show that it knows the password, too.
    Proof(hmac::Key, String),
    Done,
}

impl Exchange {
    /// Begins a login; returns the first message.
    ///
    /// # Errors
    /// Why there is none: the system has no random numbers.
    pub fn begin(login: &Login) -> Result<(Self, Vec<u8>), String> {
        let hash = match login.mechanism {
            Mechanism::Plain => {
                let message = format!("\0{}\0{}", login.user, login.password.reveal());
                return Ok((Exchange { step: Step::Silent }, message.into_bytes()));
            }
            Mechanism::ScramSha256 => &SHA256,
            Mechanism::ScramSha512 => &SHA512,
        };
        let mut nonce = [0; 24];
        let filled = ring::rand::SystemRandom::new().fill(&mut nonce);
        filled.map_err(|_| "the system has no random numbers for a login".to_owned())?;
        let scram = Scram::new(hash, login, &BASE64.encode(nonce));
        let message = format!("n,,{}", scram.first).into_bytes();
        let step = Step::Scram(Box::new(scram));
        Ok((Exchange { step }, message))
    }

    /// Takes the broker's answer; returns the next message, or none where the login is complete.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn take(&mut self, answer: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match std::mem::replace(&mut self.step, Step::Done) {
            Step::Silent => Ok(None),
            Step::Scram(scram) => {
                let (message, key, signed) = scram.answer(text(answer)?)?;
                self.step = Step::Proof(key, signed);
                Ok(Some(message.into_bytes()))
            }
            Step::Proof(key, signed) => check_proof(&key, &signed, text(answer)?).map(|()| None),
            Step::Done => Err("it goes on with a login that is complete".to_owned()),
        }
    }
}

fn text(answer: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(answer).map_err(|_| garbled())
}

fn garbled() -> String {
    "its part of the login by SCRAM is garbled".to_owned()
}

/// The same hash for all that SCRAM needs it for.
struct Hash {
    name: &'static str,
    hmac: &'static hmac::Algorithm,
    pbkdf2: &'static pbkdf2::Algorithm,
    digest: &'static digest::Algorithm,
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

static SHA256: Hash = Hash {
    name: "SHA-256",
    hmac: &hmac::HMAC_SHA256,
    pbkdf2: &pbkdf2::PBKDF2_HMAC_SHA256,
    digest: &digest::SHA256,
};

static SHA512: Hash = Hash {
    name: "SHA-512",
    hmac: &hmac::HMAC_SHA512,
    pbkdf2: &pbkdf2::PBKDF2_HMAC_SHA512,
    digest: &digest::SHA512,
};

/// The first message of SCRAM was sent.
#[derive(Debug)]
struct Scram {
    hash: &'static Hash,
    password: Secret,
    nonce: String,
    /// Without what is before it, which says that there is no channel binding.
    first: String,
}

impl Scram {
    fn new(hash: &'static Hash, login: &Login, nonce: &str) -> Self {
        let user = login.user.replace('=', "=3D").replace(',', "=2C");
        Scram {
            hash,
            password: login.password.clone(),
            nonce: nonce.to_owned(),
            first: format!("n={user},r={nonce}"),
        }
    }

    /// Returns the second message, the key by which the broker has to sign, and what.
    fn answer(&self, challenge: &str) -> Result<(String, hmac::Key, String), String> {
        /// Fewer would make the password easy to guess for who listens: Kafka's own clients refuse them.
        const FEWEST: u32 = 4_096;
        /// More would keep this client busy for whoever asks.
        const MOST: u32 = 1_000_000;
        let mut fields = challenge.split(',');
        let mut field = |name| {
            let found = fields.next().and_then(|field| field.strip_prefix(name));
            found.ok_or_else(garbled)
        };
        let (nonce, salt, rounds) = (field("r=")?, field("s=")?, field("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("it answers another login by SCRAM".to_owned());
        }
        let salt = BASE64.decode(salt).map_err(|_| garbled())?;
        let rounds: u32 = rounds.parse().map_err(|_| garbled())?;
        let counted = NonZeroU32::new(rounds).filter(|_| (FEWEST..=MOST).contains(&rounds));
        let rounds = counted.ok_or_else(|| {
            format!("its login by SCRAM asks for {rounds} rounds, and {FEWEST} to {MOST} are taken")
        })?;
        let Hash {
            hmac,
            pbkdf2,
            digest,
            ..
        } = self.hash;
        let mut salted = vec![0; digest.output_len()];
        let password = self.password.reveal().as_bytes();
        pbkdf2::derive(**pbkdf2, rounds, &salt, password, &mut salted);
        let salted = hmac::Key::new(**hmac, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(digest, client_key.as_ref());
        let last = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{last}", self.first);
        let stored_key = hmac::Key::new(**hmac, stored_key.as_ref());
        let signature = hmac::sign(&stored_key, signed.as_bytes());
        let proof = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = proof.map(|(key, signature)| key ^ signature).collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        let server_key = hmac::Key::new(**hmac, server_key.as_ref());
        Ok((
            format!("{last},p={}", BASE64.encode(proof)),
            server_key,
            signed,
        ))
    }
}

fn check_proof(key: &hmac::Key, signed: &str, answer: &str) -> Result<(), String> {
    if let Some(error) = answer.strip_prefix("e=") {
        return Err(format!("it refuses the login: {error}"));
    }
    let proof = answer.strip_prefix("v=").ok_or_else(garbled)?;
    let proof = proof.split(',').next().unwrap_or_default();
    let proof = BASE64.decode(proof).map_err(|_| garbled())?;
    hmac::verify(key, signed.as_bytes(), &proof).map_err(|_| {
        "it does not know the password itself: it is not the broker that was meant".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    static SHA1: Hash = Hash {
        name: "SHA-1",
        hmac: &hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        pbkdf2: &pbkdf2::PBKDF2_HMAC_SHA1,
        digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
    };

    fn login(mechanism: Mechanism) -> Login {
        Login {
            mechanism,
            user: "user".to_owned(),
            password: Secret::new("pencil"),
        }
    }

    /// The examples of RFC 5802, section 5, and RFC 7677, section 3.
    #[test]
    fn the_examples_of_both_standards_come_out() {
        let cases = [
            (
                &SHA1,
                "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                &SHA256,
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ];
        for (hash, nonce, challenge, second, last) in cases {
            let scram = Scram::new(hash, &login(Mechanism::ScramSha256), nonce);
            assert_eq!(scram.first, format!("n=user,r={nonce}"));
            let (message, key, signed) = scram.answer(challenge).expect("an answer");
            assert_eq!(message, second);
            assert_eq!(check_proof(&key, &signed, last), Ok(()));
            let forged = last.replacen('r', "s", 1);
            assert!(check_proof(&key, &signed, &forged).is_err(), "{forged}");
        }
    }

    #[test]
    fn answers_that_are_not_to_this_login_or_too_weak_are_refused() {
        let scram = Scram::new(&SHA512, &login(Mechanism::ScramSha512), "abc");
        for challenge in [
            "r=xyz123,s=QSXCR+Q6sek8bf92,i=4096",
            "r=abc,s=QSXCR+Q6sek8bf92,i=4096",
            "r=abcd,s=QSXCR+Q6sek8bf92,i=1",
            "r=abcd,s=QSXCR+Q6sek8bf92,i=4000000000",
            "r=abcd,s=?,i=4096",
            "r=abcd,i=4096",
            "",
        ] {
            assert!(scram.answer(challenge).is_err(), "{challenge}");
        }
        assert!(scram.answer("r=abcd,s=QSXCR+Q6sek8bf92,i=4096").is_ok());
    }

    #[test]
    fn names_with_the_signs_of_the_protocol_are_written_otherwise() {
        let login = Login {
            user: "a=b,c".to_owned(),
            ..login(Mechanism::ScramSha256)
        };
        let (_, first) = Exchange::begin(&login).expect("a message");
        let first = String::from_utf8(first).expect("text");
        assert!(first.starts_with("n,,n=a=3Db=2Cc,r="), "{first}");
    }

    #[test]
    fn a_password_is_sent_as_it_is_where_that_is_asked_for() {
        let (mut exchange, first) = Exchange::begin(&login(Mechanism::Plain)).expect("a message");
        assert_eq!(first, b"\0user\0pencil");
        assert_eq!(exchange.take(b""), Ok(None));
        assert!(exchange.take(b"").is_err());
    }
}
