//! The services of the stack and the brokers that can replace Apache Kafka.

use std::fmt;

/// A service of the compose file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Service {
    /// The broker; the one that holds data.
    Kafka,
    /// ksqlDB, the SQL server over Kafka.
    Ksqldb,
    /// The web UI.
    KafkaUi,
}

impl Service {
    /// Every service, in the order they start.
    pub const ALL: [Service; 3] = [Service::Kafka, Service::Ksqldb, Service::KafkaUi];

    /// Returns its name in the compose file.
    pub fn name(self) -> &'static str {
        match self {
            Service::Kafka => "kafka",
            Service::Ksqldb => "ksqldb",
            Service::KafkaUi => "kafka-ui",
        }
    }

    /// Returns the service of a name in the compose file.
    pub fn from_name(name: &str) -> Option<Self> {
        Service::ALL
            .into_iter()
            .find(|service| service.name() == name)
    }

    /// Returns the port it is published at unless that is taken, the same as inside its container.
    pub fn default_port(self) -> u16 {
        match self {
            Service::Kafka => 9092,
            Service::Ksqldb => 8088,
            Service::KafkaUi => 8080,
        }
    }

    /// Returns the variable of the compose file that moves its port.
    pub fn port_variable(self) -> &'static str {
        match self {
            Service::Kafka => "K_KAFKA_PORT",
            Service::Ksqldb => "K_KSQL_PORT",
            Service::KafkaUi => "K_UI_PORT",
        }
    }

    /// Returns the variable of the compose file that names another image.
    pub fn image_variable(self) -> &'static str {
        match self {
            Service::Kafka => "K_KAFKA_IMAGE",
            Service::Ksqldb => "K_KSQL_IMAGE",
            Service::KafkaUi => "K_UI_IMAGE",
        }
    }

    /// Returns where the user finds it: `127.0.0.1:9092`, `http://localhost:8080`.
    pub fn address(self, port: u16) -> String {
        match self {
            Service::Kafka => format!("127.0.0.1:{port}"),
            Service::Ksqldb => format!("http://127.0.0.1:{port}"),
            Service::KafkaUi => format!("http://localhost:{port}"),
        }
    }

    /// Returns whether its container holds data that cannot be recreated. ksqlDB keeps its queries
    /// and results in Kafka, the web UI keeps nothing.
    pub fn keeps_data(self) -> bool {
        self == Service::Kafka
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which broker runs as the service `kafka`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerImage {
    /// What settings it needs.
    pub family: BrokerFamily,
    /// Its image with registry and tag; `None`: the one in the family's compose file.
    pub image: Option<String>,
}

/// The brokers that take the same settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerFamily {
    /// Apache Kafka's own image.
    Apache,
    /// Confluent's `cp-kafka`.
    Confluent,
    /// Redpanda.
    Redpanda,
}

impl BrokerImage {
    /// Parses `apache`, `confluent`, `redpanda`, or an image such as
    /// `docker.io/apache/kafka:3.9.1`, whose name shows its family.
    ///
    /// # Errors
    /// What is wrong, for clap: neither one of the three nor an image.
    pub fn parse(text: &str) -> Result<Self, String> {
        let family = match text {
            "apache" => BrokerFamily::Apache,
            "confluent" => BrokerFamily::Confluent,
            "redpanda" => BrokerFamily::Redpanda,
            image => {
                let image = full_image_name(image)?;
                let family = match &image {
                    name if name.contains("redpanda") => BrokerFamily::Redpanda,
                    name if name.contains("confluentinc") => BrokerFamily::Confluent,
                    _ => BrokerFamily::Apache,
                };
                let image = Some(image);
                return Ok(BrokerImage { family, image });
            }
        };
        Ok(BrokerImage {
            family,
            image: None,
        })
    }
}

/// Returns an image's name with registry and tag, as podman names it in a container: Docker Hub
/// and `latest` where none is given.
fn full_image_name(image: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let Some((registry, _)) = image.split_once('/').filter(|_| image.chars().all(allowed)) else {
        return Err(
            "write `apache`, `confluent`, `redpanda`, or an image such as `docker.io/apache/kafka:3.9.1`"
                .to_owned(),
        );
    };
    let has_registry = registry.contains(['.', ':']) || registry == "localhost";
    let registry = if has_registry { "" } else { "docker.io/" };
    let has_tag = image
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains([':', '@']));
    let tag = if has_tag { "" } else { ":latest" };
    Ok(format!("{registry}{image}{tag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_tells_the_settings_it_needs() {
        for (text, family, image) in [
            ("redpanda", BrokerFamily::Redpanda, None),
            (
                "apache/kafka:3.9.1",
                BrokerFamily::Apache,
                Some("docker.io/apache/kafka:3.9.1"),
            ),
            (
                "docker.redpanda.com/redpandadata/redpanda:v25.3.1",
                BrokerFamily::Redpanda,
                Some("docker.redpanda.com/redpandadata/redpanda:v25.3.1"),
            ),
            (
                "confluentinc/cp-kafka:8.0.0",
                BrokerFamily::Confluent,
                Some("docker.io/confluentinc/cp-kafka:8.0.0"),
            ),
            (
                "localhost/kafka",
                BrokerFamily::Apache,
                Some("localhost/kafka:latest"),
            ),
        ] {
            let image = image.map(str::to_owned);
            assert_eq!(
                BrokerImage::parse(text),
                Ok(BrokerImage { family, image }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for text in ["kafka", "", "a b/c", "$(x)/y", "-v"] {
            assert!(BrokerImage::parse(text).is_err(), "{text}");
        }
    }
}
