//! Vectors of LoRAs on disk, and which of them lie nearest to another: a graph of near neighbours (Malkov and Yashunin, "HNSW",
//! 2018) in a memory-mapped file beside the index.
//!
//! Changes reach this file before they reach the index. What it holds of a LoRA that the index does not know is never shown,
//! because the index decides on what is found.

use std::path::Path;

use hannoy::{Database, Reader, Writer, distances::Cosine};
use heed::{
    Env, EnvOpenOptions, RoTxn, RwTxn, WithoutTls,
    byteorder::BigEndian,
    types::{Bytes, U32},
};
use rand::{SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use crate::{
    SearchError,
    likeness::{Space, cosine},
};

/// The most that the file may grow to: addresses, not room on the disk.
const MAP_SIZE: usize = 1 << 38;

/// Searches at the same time.
const MOST_READERS: u32 = 1024;

/// Neighbours of a vector in the graph, and in its lowest layer.
const NEIGHBOURS: usize = 16;
const NEIGHBOURS_BELOW: usize = 32;

/// Candidates that are kept while the graph is built, and while it is searched at least.
const WHILE_BUILT: usize = 96;
const WHILE_SEARCHED: usize = 128;

/// The number of a space in the file.
const fn number(space: Space) -> u16 {
    match space {
        Space::Looks => 0,
        Space::Meanings => 1,
    }
}

/// Vectors of LoRAs on disk.
pub(super) struct Vectors {
    env: Env<WithoutTls>,
    graph: Database<Cosine>,
    /// Whose vector an item is.
    owners: heed::Database<U32<BigEndian>, Bytes>,
    /// The items of a space's number and a LoRA.
    items: heed::Database<Bytes, Bytes>,
}

impl Vectors {
    /// Opens the file in a folder, making both where they are missing.
    #[allow(
        unsafe_code,
        reason = "a mapped file must not be changed by others: the folder is locked by the index that it belongs to"
    )]
    pub(super) fn open(folder: &Path) -> Result<Self, SearchError> {
        std::fs::create_dir_all(folder)?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_SIZE).max_readers(MOST_READERS).max_dbs(3);
        let env = unsafe { options.open(folder) }.map_err(failed)?;
        let mut txn = env.write_txn().map_err(failed)?;
        let graph = env.create_database(&mut txn, Some("graph")).map_err(failed)?;
        let owners = env.create_database(&mut txn, Some("owners")).map_err(failed)?;
        let items = env.create_database(&mut txn, Some("items")).map_err(failed)?;
        txn.commit().map_err(failed)?;
        Ok(Self { env, graph, owners, items })
    }

    /// Makes changes of several LoRAs, all or none of them.
    pub(super) fn change(&self, changes: &[VectorChange]) -> Result<(), SearchError> {
        let mut txn = self.env.write_txn().map_err(failed)?;
        let mut changed = [false; Space::ALL.len()];
        for change in changes {
            match change {
                VectorChange::Clear => self.clear(&mut txn)?,
                VectorChange::Of { id, looks, meaning } => {
                    changed[0] |= self.put(&mut txn, Space::Looks, *id, looks)?;
                    changed[1] |= self.put(&mut txn, Space::Meanings, *id, meaning.as_slice())?;
                }
            }
        }
        for space in Space::ALL.into_iter().filter(|space| changed[usize::from(number(*space))]) {
            self.build(&mut txn, space)?;
        }
        txn.commit().map_err(failed)
    }

    /// Puts vectors in place of those that a LoRA has. Returns whether anything changed.
    fn put(&self, txn: &mut RwTxn<'_>, space: Space, id: Uuid, vectors: &[Vec<f32>]) -> Result<bool, SearchError> {
        let key = key(space, id);
        let before: Vec<u32> = self.items_of(txn, &key)?;
        if before.is_empty() && vectors.is_empty() {
            return Ok(false);
        }
        let dimensions = self.length(txn, space)?.or(vectors.first().map(Vec::len)).unwrap_or(1);
        let known: Vec<Vec<f32>> = self.read(txn, space, &before)?;
        if known == vectors {
            return Ok(false);
        }
        let writer = Writer::new(self.graph, number(space), dimensions);
        for item in before {
            writer.del_item(txn, item).map_err(broken)?;
            self.owners.delete(txn, &item).map_err(failed)?;
        }
        let mut next = self.owners.last(txn).map_err(failed)?.map_or(0, |(last, _)| last + 1);
        let mut written = Vec::with_capacity(vectors.len() * 4);
        for vector in vectors {
            // Another describer made it than the others': it says nothing beside them until the index is built anew.
            if vector.len() != dimensions || !vector.iter().all(|value| value.is_finite()) {
                tracing::warn!(lora = %id, length = vector.len(), dimensions, "a vector is left out of the search index");
                continue;
            }
            writer.add_item(txn, next, vector).map_err(broken)?;
            self.owners.put(txn, &next, id.as_bytes()).map_err(failed)?;
            written.extend(next.to_be_bytes());
            next += 1;
        }
        if written.is_empty() {
            self.items.delete(txn, &key).map_err(failed)?;
        } else {
            self.items.put(txn, &key, &written).map_err(failed)?;
        }
        Ok(true)
    }

    fn clear(&self, txn: &mut RwTxn<'_>) -> Result<(), SearchError> {
        self.graph.clear(txn).map_err(failed)?;
        self.owners.clear(txn).map_err(failed)?;
        self.items.clear(txn).map_err(failed)
    }

    /// Takes what was added and removed into the graph.
    fn build(&self, txn: &mut RwTxn<'_>, space: Space) -> Result<(), SearchError> {
        let dimensions = self.length(txn, space)?.unwrap_or(1);
        let writer = Writer::<Cosine>::new(self.graph, number(space), dimensions);
        let mut random = StdRng::seed_from_u64(0);
        let mut builder = writer.builder(&mut random);
        builder.ef_construction(WHILE_BUILT).build::<NEIGHBOURS, NEIGHBOURS_BELOW>(txn).map_err(broken)
    }

    /// How long the vectors of a space are: as long as the first one.
    fn length(&self, txn: &RoTxn<'_>, space: Space) -> Result<Option<usize>, SearchError> {
        let prefix = number(space).to_be_bytes();
        let mut entries = self.items.prefix_iter(txn, &prefix).map_err(failed)?;
        let Some((_, items)) = entries.next().transpose().map_err(failed)? else { return Ok(None) };
        let Some(item) = numbers(items).next() else { return Ok(None) };
        let writer = Writer::<Cosine>::new(self.graph, number(space), usize::MAX);
        Ok(writer.item_vector(txn, item).map_err(broken)?.map(|vector| vector.len()))
    }

    /// None where nothing was built.
    fn reader(&self, txn: &RoTxn<'_>, space: Space) -> Result<Option<Reader<Cosine>>, SearchError> {
        match Reader::open(txn, number(space), self.graph) {
            Ok(reader) => Ok(Some(reader)),
            Err(hannoy::Error::MissingMetadata(_) | hannoy::Error::NeedBuild(_)) => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }

    fn items_of(&self, txn: &RoTxn<'_>, key: &[u8]) -> Result<Vec<u32>, SearchError> {
        Ok(self.items.get(txn, key).map_err(failed)?.map(|items| numbers(items).collect()).unwrap_or_default())
    }

    fn read(&self, txn: &RoTxn<'_>, space: Space, items: &[u32]) -> Result<Vec<Vec<f32>>, SearchError> {
        let writer = Writer::<Cosine>::new(self.graph, number(space), usize::MAX);
        let vectors = items.iter().map(|item| writer.item_vector(txn, *item).map_err(broken));
        Ok(vectors.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The vectors of a LoRA.
    pub(super) fn of(&self, space: Space, id: Uuid) -> Result<Vec<Vec<f32>>, SearchError> {
        let txn = self.env.read_txn().map_err(failed)?;
        let items = self.items_of(&txn, &key(space, id))?;
        self.read(&txn, space, &items)
    }

    /// LoRAs of which a vector is among the `most` nearest, with the cosine of the nearest one, nearest first; and whether
    /// there are more.
    pub(super) fn nearest(
        &self,
        space: Space,
        vector: &[f32],
        most: usize,
    ) -> Result<(Vec<(Uuid, f32)>, bool), SearchError> {
        let txn = self.env.read_txn().map_err(failed)?;
        let Some(reader) = self.reader(&txn, space)? else { return Ok((Vec::new(), false)) };
        if reader.dimensions() != vector.len() {
            return Ok((Vec::new(), false));
        }
        let mut query = reader.nns(most);
        query.ef_search(most.max(WHILE_SEARCHED));
        let found = query.by_vector(&txn, vector).map_err(broken)?.into_nns();
        let mut loras: Vec<(Uuid, f32)> = Vec::with_capacity(found.len());
        let mut seen = std::collections::HashSet::new();
        for (item, distance) in found {
            let owner = self.owners.get(&txn, &item).map_err(failed)?;
            if let Some(id) = owner.and_then(|bytes| Uuid::from_slice(bytes).ok())
                && seen.insert(id)
            {
                // The distance is half of what the cosine lacks to one.
                loras.push((id, 1.0 - 2.0 * distance));
            }
        }
        Ok((loras, (most as u64) < reader.n_items()))
    }

    /// The cosine of the nearest vector of each of these LoRAs, of those that have one; in order of the LoRAs.
    pub(super) fn likeness(&self, space: Space, vector: &[f32], ids: &[Uuid]) -> Result<Vec<(Uuid, f32)>, SearchError> {
        let txn = self.env.read_txn().map_err(failed)?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let items = self.items_of(&txn, &key(space, *id))?;
            let vectors = self.read(&txn, space, &items)?;
            let cosines = vectors.iter().filter(|other| other.len() == vector.len()).map(|other| cosine(vector, other));
            found.extend(cosines.reduce(f32::max).map(|cosine| (*id, cosine)));
        }
        Ok(found)
    }
}

/// A change of what is known of a LoRA.
pub(super) enum VectorChange {
    /// Nothing is known of any.
    Clear,
    /// These are its vectors now.
    Of { id: Uuid, looks: Vec<Vec<f32>>, meaning: Option<Vec<f32>> },
}

fn key(space: Space, id: Uuid) -> [u8; 18] {
    let mut key = [0; 18];
    key[..2].copy_from_slice(&number(space).to_be_bytes());
    key[2..].copy_from_slice(id.as_bytes());
    key
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|number| u32::from_be_bytes(*number))
}

fn failed(error: heed::Error) -> SearchError {
    SearchError::Unavailable(format!("the vectors of the search index: {error}"))
}

fn broken(error: hannoy::Error) -> SearchError {
    SearchError::Unavailable(format!("the vectors of the search index: {error}"))
}
