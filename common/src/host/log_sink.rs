//! A log that never blocks its callers. A separate thread writes the lines. If writing is slow, stuck or fails, lines
//! are lost and counted, and the program continues.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Maximum number of lines that wait to be written.
const MAX_LINES: usize = 8_192;
/// Maximum total size of the waiting lines in bytes.
const MAX_BYTES: usize = 4 << 20;
const POLL: Duration = Duration::from_millis(2);

/// Accepts whole lines; cheap to clone.
#[derive(Clone, Debug)]
pub struct LogSink {
    lines: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting_lines: AtomicUsize,
    waiting_bytes: AtomicUsize,
    lines_lost: AtomicU64,
}

impl LogSink {
    /// Starts the thread that writes to `to`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel::<Vec<u8>>(MAX_LINES);
        let counts = Arc::new(Counts::default());
        let sink = Self {
            lines,
            counts: counts.clone(),
        };
        thread::Builder::new().name("log".into()).spawn(move || {
            for line in waiting {
                // A full disk may have space again later, so each line is tried.
                if to.write_all(&line).and_then(|()| to.flush()).is_err() {
                    counts.lines_lost.fetch_add(1, SeqCst);
                }
                counts.waiting_bytes.fetch_sub(line.len(), SeqCst);
                counts.waiting_lines.fetch_sub(1, SeqCst);
            }
        })?;
        Ok(sink)
    }

    /// Number of lines lost so far.
    pub fn lines_lost(&self) -> u64 {
        self.counts.lines_lost.load(SeqCst)
    }

    /// Waits until all lines are written, but no longer than `limit`. Call it before the program exits.
    pub fn drain(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.counts.waiting_lines.load(SeqCst) > 0 && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }

    fn push(&self, line: &[u8]) {
        let counts = &self.counts;
        counts.waiting_lines.fetch_add(1, SeqCst);
        let waiting = counts.waiting_bytes.fetch_add(line.len(), SeqCst);
        let sent = if waiting + line.len() > MAX_BYTES {
            Err(TrySendError::Full(()))
        } else {
            let sent = self.lines.try_send(line.to_vec());
            sent.map_err(|_| TrySendError::Full(()))
        };
        if sent.is_err() {
            counts.waiting_bytes.fetch_sub(line.len(), SeqCst);
            counts.waiting_lines.fetch_sub(1, SeqCst);
            counts.lines_lost.fetch_add(1, SeqCst);
        }
    }
}

impl Write for LogSink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Collects what is written, once the gate is open. Fails for bytes that start with `fail`.
    struct Gate {
        open: mpsc::Receiver<()>,
        is_open: bool,
        text: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.is_open {
                self.open.recv().unwrap();
                self.is_open = true;
            }
            if bytes.starts_with(b"fail") {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A sink that writes to a gate, the sender that opens the gate, and the text that has passed it.
    fn gated() -> (LogSink, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (opener, open) = mpsc::channel();
        let text = Arc::new(Mutex::new(Vec::new()));
        let gate = Gate {
            open,
            is_open: false,
            text: text.clone(),
        };
        (LogSink::start(gate).unwrap(), opener, text)
    }

    #[test]
    fn a_stuck_log_loses_lines_and_counts_them_and_holds_nobody_up() {
        let (mut sink, open, text) = gated();
        let sent = MAX_LINES as u64 * 2;
        for _ in 0..sent {
            sink.write_all(b"line\n").unwrap();
        }
        let lines_lost = sink.lines_lost();
        // The writer holds one line, and the others wait.
        assert!(
            (sent - lines_lost).abs_diff(MAX_LINES as u64) <= 1,
            "{lines_lost} lost"
        );
        sink.drain(Duration::from_millis(20));
        open.send(()).unwrap();
        sink.drain(Duration::from_secs(60));
        let written = text.lock().unwrap().len() as u64 / 5;
        assert_eq!(written + lines_lost, sent);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_lost_alone_and_large_ones_are_bounded() {
        let (mut sink, open, text) = gated();
        sink.write_all(&vec![b'x'; MAX_BYTES + 1]).unwrap();
        assert_eq!(sink.lines_lost(), 1);
        open.send(()).unwrap();
        for line in ["a", "fail", "b"] {
            sink.write_all(line.as_bytes()).unwrap();
        }
        sink.drain(Duration::from_secs(60));
        assert_eq!(
            (&**text.lock().unwrap(), sink.lines_lost()),
            (&b"ab"[..], 2)
        );
    }
}
