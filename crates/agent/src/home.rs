//! Where an agent keeps its files. `EDGESYNC_HOME` puts all of them in one folder (tests, portable installs); without it they
//! are where the platform wants them. Folders made here are readable by their owner alone.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::files::create_private_dir;

/// The variable that puts every file of the agent under one folder.
pub const HOME_VARIABLE: &str = "EDGESYNC_HOME";

/// The folders of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    data: PathBuf,
    runtime: PathBuf,
    logs: PathBuf,
}

/// There is no place for the agent's files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Neither `EDGESYNC_HOME` nor a home folder of the user is known.
    #[error("no home folder is known; set {HOME_VARIABLE} to a folder for the agent's files")]
    Unknown,
    /// A folder cannot be made or resolved.
    #[error("cannot use the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Home {
    /// Returns the folders that the environment names. Nothing is created.
    ///
    /// # Errors
    /// [`HomeError::Unknown`] when the environment names none.
    pub fn from_env() -> Result<Self, HomeError> {
        match std::env::var_os(HOME_VARIABLE).filter(|value| !value.is_empty()) {
            Some(folder) => Self::at(folder),
            None => Self::of_platform().ok_or(HomeError::Unknown),
        }
    }

    /// Returns a home that has every file under `folder`.
    ///
    /// # Errors
    /// [`HomeError::Folder`] when the path cannot be made absolute.
    pub fn at(folder: impl Into<OsString>) -> Result<Self, HomeError> {
        let path = PathBuf::from(folder.into());
        match std::path::absolute(&path) {
            Ok(absolute) => Ok(Self {
                data: absolute.clone(),
                runtime: absolute.clone(),
                logs: absolute,
            }),
            Err(source) => Err(HomeError::Folder { path, source }),
        }
    }

    fn of_platform() -> Option<Self> {
        let folders = ProjectDirs::from("", "", "edgesync")?;
        let data = folders.data_local_dir().to_path_buf();
        let runtime = folders
            .runtime_dir()
            .map_or_else(|| data.clone(), Path::to_path_buf);
        let logs = folders
            .state_dir()
            .map_or_else(|| data.clone(), Path::to_path_buf);
        Some(Self {
            data,
            runtime,
            logs,
        })
    }

    /// Creates the folders.
    ///
    /// # Errors
    /// [`HomeError::Folder`] when one cannot be made.
    pub fn create(&self) -> Result<(), HomeError> {
        for path in [&self.data, &self.runtime, &self.logs] {
            create_private_dir(path).map_err(|source| HomeError::Folder {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// The folder of what must survive.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The file whose lock says that an agent runs here.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.data.join("agent.lock")
    }

    /// The file that tells others where the running agent answers.
    pub fn runtime_file(&self) -> PathBuf {
        self.runtime.join("runtime.json")
    }

    /// The file that the log is kept in.
    pub fn log_file(&self) -> PathBuf {
        self.logs.join("edgesync.log")
    }

    /// The database of what must survive.
    pub fn state_file(&self) -> PathBuf {
        self.data.join("agent.db")
    }

    /// The key in whose name bridges sign that run beside the agent.
    pub(crate) fn bridge_file(&self) -> PathBuf {
        self.data.join("bridge.key")
    }

    /// The identity key.
    pub fn identity_file(&self) -> PathBuf {
        self.data.join("identity.key")
    }
}
