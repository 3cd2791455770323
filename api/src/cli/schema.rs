//! `atelier schema`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser;

use super::say;
use crate::graphql::{self, permissions};

/// Write schema.graphql and docs/PERMISSIONS.md.
#[derive(Parser, Debug)]
pub struct SchemaCommand {
    /// The repository's root
    #[arg(default_value = ".")]
    root: PathBuf,

    /// Write nothing; status 1 when a file is stale
    #[arg(long)]
    check: bool,
}

/// The generated files, by their place below the repository's root.
pub fn generated() -> [(&'static str, String); 2] {
    [("schema.graphql", graphql::definition()), ("docs/PERMISSIONS.md", permissions::page())]
}

impl SchemaCommand {
    /// Writes or checks the files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut is_fresh = true;
        for (name, text) in generated() {
            let file = self.root.join(name);
            if self.check {
                if std::fs::read_to_string(&file).unwrap_or_default() != text {
                    is_fresh = false;
                    say(format!("`{}` is stale. Run `atelier schema` in the repository's root.", file.display()));
                }
            } else {
                write(&file, &text)?;
                say(format!("`{}` was written.", file.display()));
            }
        }
        Ok(if is_fresh { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("The folder `{}` cannot be made.", folder.display()))?;
    }
    std::fs::write(file, text).with_context(|| format!("`{}` cannot be written.", file.display()))
}
