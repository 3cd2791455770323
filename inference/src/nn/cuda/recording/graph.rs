//! What is told to the lane, as a graph of the driver's, which takes one call to tell again: "CUDA Graphs" in NVIDIA's programming guide.

use cudarc::driver::{result as driver, sys as cuda};

use super::super::lane::{Failure, Lane};

/// A graph that can be told to the card.
pub(super) struct Graph {
    executable: cuda::CUgraphExec,
    /// The lane's places when it was written down: where one of them is another by now, the graph's operations know the wrong one.
    places: [u64; 2],
}

// SAFETY: the driver's handles may be used from any thread, one at a time.
unsafe impl Send for Graph {}

impl Graph {
    /// Writes down what is told to the lane. Nothing of it is computed.
    ///
    /// # Errors
    /// When the driver cannot write down one of the operations.
    pub fn of(lane: &mut Lane, tell: impl FnOnce(&mut Lane) -> Result<(), Failure>) -> Result<Self, Failure> {
        let stream = lane.driver_stream();
        // SAFETY: the stream is the lane's, whose context is current; what was begun is ended whatever happens in between, and handles
        // are used once.
        unsafe {
            // burn may ask for memory meanwhile, on another thread's stream.
            driver::stream::begin_capture(stream, cuda::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED)?;
            let told = tell(lane);
            let graph = driver::stream::end_capture(stream);
            told?;
            let graph = graph?;
            let executable = driver::graph::instantiate(graph, cuda::CUgraphInstantiate_flags(0));
            // The executable form holds all that is needed. That the other could not be destroyed changes nothing.
            let _ = driver::graph::destroy(graph);
            Ok(Self { executable: executable?, places: lane.places() })
        }
    }

    /// Whether it still knows the right places.
    pub fn is_of(&self, lane: &Lane) -> bool {
        self.places == lane.places()
    }

    /// Tells it to the lane.
    ///
    /// # Errors
    /// When the driver refuses it.
    pub fn launch(&self, lane: &Lane) -> Result<(), Failure> {
        // SAFETY: whoever has the graph keeps the memory that its operations know.
        unsafe { Ok(driver::graph::launch(self.executable, lane.driver_stream())?) }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it was made for this graph alone, and the driver lets what is under way end. That it could not be destroyed changes
        // nothing.
        let _ = unsafe { driver::graph::exec_destroy(self.executable) };
    }
}
