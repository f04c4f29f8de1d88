//! Which programs pods can run, and how one is started.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use wavetank_platform::Platform;

use super::lab::LabService;
use super::serve::{Asked, Said, serve};
use super::{Conditions, Echo, echo, httpbin, lab};

/// Port of httpbin, unless told otherwise.
pub const HTTPBIN_PORT: u16 = 8000;

/// What runs in a pod's application container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// One service of the book's app, as version `version` (`v1`, `v2`).
    Lab {
        /// Which of the five.
        service: LabService,
        /// Its version, as its replies name it.
        version: String,
    },
    /// A service that answers what it is asked to.
    Httpbin {
        /// Port it listens on.
        port: u16,
    },
    /// A stand-in for a program that the world does not have.
    Echo(Echo),
    /// Nothing that listens: a pod to call from.
    Sleep,
}

impl Program {
    /// The TCP port it listens on; `None` when it only calls.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Lab { .. } => Some(80),
            Self::Httpbin { port } => Some(*port),
            Self::Echo(echo) => Some(echo.port),
            Self::Sleep => None,
        }
    }

    /// Starts the program on every address of its pod, as a task of `platform`'s process. A program that
    /// only calls starts nothing.
    ///
    /// Errs when its port cannot be bound.
    pub async fn start(&self, platform: &Platform) -> io::Result<()> {
        self.start_under(platform, Conditions::default()).await
    }

    /// Like [`start`](Self::start), under `conditions`.
    ///
    /// Errs when its port cannot be bound.
    pub async fn start_under(&self, platform: &Platform, conditions: Conditions) -> io::Result<()> {
        if let Some(port) = self.port() {
            let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
            serve(platform, self.clone(), conditions, addr).await?;
        }
        Ok(())
    }

    /// Starts the program on `addr` alone, and returns the address it is bound to.
    ///
    /// Errs when `addr` cannot be bound.
    pub async fn start_on(&self, platform: &Platform, addr: SocketAddr) -> io::Result<SocketAddr> {
        serve(platform, self.clone(), Conditions::default(), addr).await
    }

    /// The program's answer to one request.
    pub(super) async fn answer(&self, platform: &Platform, asked: Asked) -> Said {
        match self {
            Self::Lab { service, version } => lab::answer(*service, version, platform, &asked).await,
            Self::Httpbin { .. } => httpbin::answer(platform, &asked).await,
            Self::Echo(own) => echo::answer(own, platform, &asked).await,
            Self::Sleep => Said::text(404, ""),
        }
    }
}
