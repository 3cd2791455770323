//! The hashes under which LoRA files are known.

use std::{fs::File, io::Read, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    weights::safetensors::StoredTensor,
};

/// Bytes that are read at once.
const PIECE: usize = 1 << 18;

/// Hashes of a file, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its first ten digits, which A1111 shows for models.
    pub auto_v2: String,
    /// SHA-256 of what follows the header: the same for the same weights under another title. A1111 shows its first
    /// twelve digits for LoRAs.
    pub auto_v3: String,
    /// BLAKE3 of the file.
    pub blake3: String,
}

/// Hashes a file whose header, with its length, takes `header` bytes. The file is read once, piece by piece.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub fn hashes(path: &Path, header: u64) -> Result<Hashes> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let (mut whole, mut body, mut blake) = (Sha256::new(), Sha256::new(), blake3::Hasher::new());
    let mut piece = vec![0; PIECE];
    let mut to_skip = usize::try_from(header).unwrap_or(usize::MAX);
    loop {
        let read = file.read(&mut piece).map_err(Error::io(path))?;
        if read == 0 {
            break;
        }
        let bytes = &piece[..read];
        whole.update(bytes);
        blake.update(bytes);
        let skipped = to_skip.min(read);
        body.update(&bytes[skipped..]);
        to_skip -= skipped;
    }
    let sha256 = hexadecimal(&whole.finalize());
    Ok(Hashes {
        auto_v2: sha256[..10].to_owned(),
        sha256,
        auto_v3: hexadecimal(&body.finalize()),
        blake3: blake.finalize().to_hex().to_string(),
    })
}

/// SHA-256 of the bytes of tensors in their order: what a file with them has as AutoV3.
pub fn sha256_of_tensors(tensors: &[StoredTensor<'_>]) -> String {
    let mut hash = Sha256::new();
    tensors.iter().for_each(|tensor| hash.update(&tensor.bytes));
    hexadecimal(&hash.finalize())
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
