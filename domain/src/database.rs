//! The database: SQLite in one file, or PostgreSQL.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};

/// How long a writer waits for its turn before the request fails.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// What SQLite keeps of the file in memory for each connection, in KiB with a minus sign: enough for the upper levels of all
/// indexes, which every page of a list goes through.
const CACHE: &str = "-16384";

/// How long a connection to PostgreSQL may have been idle before it is asked whether it still stands: one that was just used
/// costs no message of its own.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);

/// Connections for reading and for writing. On SQLite there is one writer, whose transactions begin immediately, so
/// that none fails half-way for want of the lock; readers cannot write at all.
#[derive(Clone, Debug)]
pub struct Database {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    statements: Arc<AtomicU64>,
}

impl Database {
    /// Connects, sets what the house relies on, and checks that it is so.
    ///
    /// # Errors
    /// When the database cannot be reached, or SQLite refuses WAL, full synchronisation or foreign keys.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Self::connect_sqlite(url).await,
            Some("postgres" | "postgresql") => Self::connect_postgres(url).await,
            _ => bail!("`{url}` is no database address. Use sqlite://PATH?mode=rwc or postgres://USER@HOST/NAME."),
        }
    }

    async fn connect_sqlite(url: &str) -> anyhow::Result<Self> {
        let open = |read_only: bool, connections: u32| {
            let mut options = ConnectOptions::new(url);
            options
                .max_connections(connections)
                .min_connections(1)
                .acquire_timeout(WRITE_PATIENCE)
                .sqlx_logging_level(tracing::log::LevelFilter::Trace)
                .sqlx_logging(false)
                .map_sqlx_sqlite_opts(move |options| {
                    options
                        .pragma("journal_mode", "WAL")
                        .pragma("synchronous", "FULL")
                        .pragma("foreign_keys", "ON")
                        .pragma("query_only", if read_only { "ON" } else { "OFF" })
                        .pragma("temp_store", "MEMORY")
                        .pragma("cache_size", CACHE)
                        .busy_timeout(WRITE_PATIENCE)
                });
            sea_orm::Database::connect(options)
        };
        let cannot =
            || format!("The database `{url}` cannot be opened. Check that the folder exists and may be written.");
        let writer = open(false, 1).await.with_context(cannot)?;
        for (pragma, wanted) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
            let found = read_pragma(&writer, pragma).await?;
            if found != wanted {
                bail!("SQLite keeps {pragma} at {found} where {wanted} is needed. Put the data on a local disk.");
            }
        }
        let reader = open(true, 4).await.with_context(cannot)?;
        let statements = Arc::default();
        Ok(Self { writer: counted(writer, &statements), reader: counted(reader, &statements), statements })
    }

    async fn connect_postgres(url: &str) -> anyhow::Result<Self> {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(20)
            .min_connections(1)
            .acquire_timeout(WRITE_PATIENCE)
            .test_before_acquire_if_idle_for(TRUSTED_IDLE)
            .sqlx_logging(false);
        let connection = sea_orm::Database::connect(options)
            .await
            .context("PostgreSQL cannot be reached. Check the address, the name of the database and the password.")?;
        let statements = Arc::default();
        let connection = counted(connection, &statements);
        Ok(Self { writer: connection.clone(), reader: connection, statements })
    }

    /// How many statements have been sent since the connection was made, by everybody who holds a copy of it.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Which engine it is.
    pub fn backend(&self) -> DbBackend {
        self.reader.get_database_backend()
    }

    /// For reading.
    pub fn read(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// The writing connection itself, for migrations.
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Begins a writing transaction.
    ///
    /// # Errors
    /// When the database is gone, or other writers did not give way in time.
    pub async fn write(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.writer.begin_with_options(options).await
    }

    /// Looks whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check(&self) -> Result<(), DbErr> {
        self.reader.ping().await
    }

    /// Has PostgreSQL count what it holds, by which it chooses its plans, as it does by itself some minutes after very much was
    /// written at once. SQLite plans without.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn count_rows(&self) -> Result<(), DbErr> {
        match self.backend() {
            DbBackend::Postgres => self.writer.execute_unprepared("ANALYZE").await.map(drop),
            _ => Ok(()),
        }
    }

    /// Copies a live SQLite database into a new file.
    ///
    /// # Errors
    /// On PostgreSQL, which has its own tools for it, and when the file exists or cannot be written.
    pub async fn backup(&self, file: &std::path::Path) -> anyhow::Result<()> {
        if self.backend() != DbBackend::Sqlite {
            bail!("A PostgreSQL database is backed up with pg_dump; `atelier backup` copies SQLite only.");
        }
        if file.exists() {
            bail!("`{}` exists already. Name a new file.", file.display());
        }
        let path = file.to_str().context("The path of the copy is not UTF-8. Choose another.")?;
        let copy = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.into()]);
        self.writer.execute_raw(copy).await.with_context(|| format!("The copy `{path}` cannot be written."))?;
        Ok(())
    }
}

/// The connection, adding to a number with each statement.
fn counted(mut connection: DatabaseConnection, statements: &Arc<AtomicU64>) -> DatabaseConnection {
    let statements = Arc::clone(statements);
    connection.set_metric_callback(move |_| {
        statements.fetch_add(1, Ordering::Relaxed);
    });
    connection
}

async fn read_pragma(connection: &DatabaseConnection, name: &str) -> anyhow::Result<String> {
    let row = connection
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}")))
        .await?
        .with_context(|| format!("SQLite does not know {name}."))?;
    let text = row.try_get_by_index::<String>(0);
    Ok(text.or_else(|_| row.try_get_by_index::<i32>(0).map(|number| number.to_string()))?)
}

/// Holds a named lock until the transaction ends. SQLite has one writer, which is lock enough.
///
/// # Errors
/// When the database is gone.
pub async fn serialize<C: ConnectionTrait>(tx: &C, name: &str) -> Result<(), DbErr> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [name.into()])).await?;
    }
    Ok(())
}
