//! The streams of a card that burn tells its operations to. What is told to the same one is done in the order of telling, with no
//! events between.
//!
//! cubecl keeps its streams to itself. Their handles stand in the debug form of its server, where they are read once for each
//! thread that asks for operations; where they are not found, our operations go beside burn's.

use std::{cell::RefCell, collections::HashMap};

use burn::tensor::StreamId;
use cudarc::driver::sys::CUstream;

use super::operation::Server;

/// The stream that a thread's operations are told to, if it is known. It is asked for where burn's operations are told to the
/// card, when the stream has been used.
pub(super) fn of(server: &Server, card: usize, thread: StreamId) -> Option<CUstream> {
    thread_local! {
        static KNOWN: RefCell<HashMap<(usize, u64), Option<CUstream>>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        *known.entry((card, thread.value)).or_insert_with(|| {
            let found = handle(&format!("{server:#?}"), thread.value);
            if found.is_none() {
                tracing::warn!("burn's stream on card {card} is not known: operations go beside it, which is slower.");
            }
            found.map(|handle| handle as CUstream)
        })
    })
}

/// The handle of a thread's stream in the debug form of a server: threads share the streams by their numbers, and the last stream
/// is no thread's.
fn handle(server: &str, thread: u64) -> Option<usize> {
    let (_, pool) = server.split_once("streams: StreamPool {\n")?;
    let mut lines = pool.lines();
    let first = lines.by_ref().find(|line| line.trim_start() == "streams: [")?;
    let depth = first.len() - first.trim_start().len();
    let is_end = |line: &&str| line.len() - line.trim_start().len() == depth;
    let mut streams = Vec::new();
    for line in lines.take_while(|line| !is_end(line)) {
        let text = line.trim();
        if line.len() - line.trim_start().len() == depth + INDENTATION && matches!(text, "None," | "Some(") {
            streams.push(None);
        } else if let (Some(handle), Some(stream @ None)) = (text.strip_prefix("sys: 0x"), streams.last_mut()) {
            *stream = usize::from_str_radix(handle.trim_end_matches(','), 16).ok();
        }
    }
    let of_threads = streams.len().checked_sub(1).filter(|count| *count > 0)?;
    streams[(thread % of_threads as u64) as usize]
}

/// How much further what stands inside something begins.
const INDENTATION: usize = 4;

#[cfg(test)]
mod tests {
    use super::handle;

    #[derive(Debug)]
    #[expect(dead_code, reason = "what is read is its debug form")]
    struct Stream {
        sys: *mut u8,
        errors: Vec<String>,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "what is read is its debug form")]
    struct StreamPool {
        streams: Vec<Option<Stream>>,
        max_streams: usize,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "what is read is its debug form")]
    struct Server {
        name: &'static str,
        streams: StreamPool,
    }

    #[test]
    fn a_threads_stream_is_the_one_of_its_number() {
        let stream = |handle: usize| Some(Stream { sys: handle as *mut u8, errors: vec!["None,".to_owned()] });
        let streams = vec![stream(0x10), None, stream(0x7f00), stream(0x99)];
        let server = Server { name: "streams: [", streams: StreamPool { streams, max_streams: 3 } };
        let server = format!("{server:#?}");
        let found: Vec<_> = (0..6).map(|thread| handle(&server, thread)).collect();
        assert_eq!(found, [Some(0x10), None, Some(0x7f00), Some(0x10), None, Some(0x7f00)]);
        assert_eq!(handle("CudaServer", 0), None);
    }
}
