//! The thread that changes the index. Changes that arrive while it is busy are committed together.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
};

use tantivy::{Index, IndexReader, IndexWriter, Searcher, TantivyDocument, schema::IndexRecordOption};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    columns::Columns,
    schema::{Fields, column},
    vectors::{VectorChange, Vectors},
};
use crate::{LoraDocument, SearchError};

/// Bytes of documents that are held in memory before they go to disk.
const MEMORY: usize = 64 << 20;
/// Changes that are committed together at most.
const MOST_TOGETHER: usize = 20_000;

/// What changes the index.
#[derive(Clone)]
pub(super) enum Change {
    Upsert(Vec<LoraDocument>),
    Remove(Vec<(Uuid, u64)>),
    Clear,
    /// Nothing; answered when what came before is committed.
    Nothing,
}

impl Change {
    fn len(&self) -> usize {
        match self {
            Self::Upsert(documents) => documents.len(),
            Self::Remove(removals) => removals.len(),
            Self::Clear | Self::Nothing => 1,
        }
    }
}

type Answer = oneshot::Sender<Result<(), SearchError>>;

/// The thread that changes the index. It ends when this is dropped, after what was sent is committed.
pub(super) struct Writer {
    changes: Option<Sender<(Change, Answer)>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        index: Index,
        reader: IndexReader,
        fields: Fields,
        vectors: Arc<Vectors>,
        columns: Arc<Columns>,
    ) -> Result<Self, SearchError> {
        let writer = index.writer_with_num_threads(1, MEMORY).map_err(|error| match error {
            tantivy::TantivyError::LockFailure(..) => {
                SearchError::Unavailable("another process uses this search index; end it first".to_owned())
            }
            other => failed(&other),
        })?;
        let (changes, arriving) = mpsc::channel();
        let (writer, pending) = (Some(writer), HashMap::new());
        let mut work = Work { index, reader, fields, vectors, columns, writer, pending, cleared: false };
        let thread = std::thread::Builder::new().name("search-index".to_owned()).spawn(move || work.run(&arriving))?;
        Ok(Self { changes: Some(changes), thread: Some(thread) })
    }

    /// Makes a change; returns when searches find it.
    pub(super) async fn apply(&self, change: Change) -> Result<(), SearchError> {
        let gone = || SearchError::Unavailable("the index is not written any more; start the server again".to_owned());
        let (answer, answered) = oneshot::channel();
        self.changes.as_ref().ok_or_else(gone)?.send((change, answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the search index's thread panicked");
        }
    }
}

struct Work {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    vectors: Arc<Vectors>,
    columns: Arc<Columns>,
    /// None after a failure from which it could not be brought back.
    writer: Option<IndexWriter>,
    /// Sequences that are not committed yet.
    pending: HashMap<Uuid, u64>,
    /// Whether what is committed counts no more.
    cleared: bool,
}

impl Work {
    fn run(&mut self, arriving: &Receiver<(Change, Answer)>) {
        while let Ok(first) = arriving.recv() {
            let mut count = first.0.len();
            let mut changes = vec![first];
            while count < MOST_TOGETHER
                && let Ok(next) = arriving.try_recv()
            {
                count += next.0.len();
                changes.push(next);
            }
            let (changes, answers): (Vec<Change>, Vec<Answer>) = changes.into_iter().unzip();
            let result = self.commit(changes);
            if let Err(error) = &result {
                tracing::error!(%error, "the search index could not be written");
                self.roll_back();
            }
            for answer in answers {
                // Who asked may have gone; the change stands.
                let _gone = answer.send(result.clone());
            }
        }
        if let Some(writer) = self.writer.take()
            && let Err(error) = writer.wait_merging_threads()
        {
            tracing::warn!(%error, "segments of the search index were not merged");
        }
    }

    fn commit(&mut self, changes: Vec<Change>) -> Result<(), SearchError> {
        if self.writer.is_none() {
            self.writer = Some(self.index.writer_with_num_threads(1, MEMORY).map_err(|error| failed(&error))?);
        }
        let committed = self.reader.searcher();
        let mut changed = false;
        let mut vectors = Vec::new();
        for change in changes {
            match change {
                Change::Upsert(documents) => {
                    for mut lora in documents {
                        let (id, sequence) = (lora.id, lora.sequence);
                        let (looks, meaning) = (std::mem::take(&mut lora.looks), lora.meaning.take());
                        if self.put(&committed, id, sequence, self.fields.document(lora)?)? {
                            vectors.push(VectorChange::Of { id, looks, meaning });
                            changed = true;
                        }
                    }
                }
                Change::Remove(removals) => {
                    for (id, sequence) in removals {
                        let document = self.fields.tombstone(id, sequence);
                        if self.put(&committed, id, sequence, document)? {
                            vectors.push(VectorChange::Of { id, looks: Vec::new(), meaning: None });
                            changed = true;
                        }
                    }
                }
                Change::Clear => {
                    self.writer()?.delete_all_documents().map_err(|error| failed(&error))?;
                    self.pending.clear();
                    self.cleared = true;
                    vectors.push(VectorChange::Clear);
                    changed = true;
                }
                Change::Nothing => changed = true,
            }
        }
        if changed {
            self.vectors.change(&vectors)?;
            self.writer()?.commit().map_err(|error| failed(&error))?;
            self.reader.reload().map_err(|error| failed(&error))?;
            self.columns.prepare(&self.reader.searcher()).map_err(|error| failed(&error))?;
        }
        self.pending.clear();
        self.cleared = false;
        Ok(())
    }

    /// Puts a document in place of the one with its id, unless that one is newer.
    fn put(
        &mut self,
        committed: &Searcher,
        id: Uuid,
        sequence: u64,
        document: TantivyDocument,
    ) -> Result<bool, SearchError> {
        let known = match self.pending.get(&id) {
            Some(sequence) => Some(*sequence),
            None if self.cleared => None,
            None => known_sequence(committed, &self.fields, id).map_err(|error| failed(&error))?,
        };
        if known.is_some_and(|known| known > sequence) {
            return Ok(false);
        }
        let term = self.fields.id_term(id);
        let writer = self.writer()?;
        writer.delete_term(term);
        writer.add_document(document).map_err(|error| failed(&error))?;
        self.pending.insert(id, sequence);
        Ok(true)
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, SearchError> {
        self.writer.as_mut().ok_or_else(|| SearchError::Unavailable("the index cannot be written".to_owned()))
    }

    fn roll_back(&mut self) {
        self.pending.clear();
        self.cleared = false;
        if let Some(mut writer) = self.writer.take() {
            match writer.rollback() {
                Ok(_) => self.writer = Some(writer),
                // Dropped, which frees its lock; the next change begins with a new one.
                Err(error) => tracing::error!(%error, "the search index's writer is made anew"),
            }
        }
    }
}

/// The sequence that the index holds of a LoRA or its removal.
fn known_sequence(searcher: &Searcher, fields: &Fields, id: Uuid) -> tantivy::Result<Option<u64>> {
    let term = fields.id_term(id);
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(fields.id)?;
        let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
        let mut document = tantivy::DocSet::doc(&postings);
        while document != tantivy::TERMINATED {
            if !segment.is_deleted(document) {
                return Ok(segment.fast_fields().u64(column::SEQUENCE)?.first(document));
            }
            document = tantivy::DocSet::advance(&mut postings);
        }
    }
    Ok(None)
}

fn failed(error: &tantivy::TantivyError) -> SearchError {
    SearchError::Unavailable(error.to_string())
}
