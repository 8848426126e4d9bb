//! Drives the application without its event loop: keys and responses in, screens and calls out.

use std::time::{Duration, Instant};

use crossterm::event::{
    Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind,
};
use futures_util::FutureExt;
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Style};
use serde_json::{Value, json};
use stockroom_common::{Role, access::WhoAmI};
use stockroom_tui::{
    app::state::App,
    messages::{
        call::{Answer, Call, Failure, Reply, Source, Ticket},
        event::{Effect, Event, Link},
    },
    model::text::{self, Zone},
    run::effects::Effects,
    settings::preferences::Preferences,
    view::{events::translate, frame},
};

use crate::outside::Outside;

pub(crate) struct Driver {
    pub(crate) app: App,
    pub(crate) outside: Outside,
    size: (u16, u16),
    now: Instant,
    executor: Effects<Ticket>,
    effects: Vec<Effect>,
    /// The cache status to report with responses.
    pub(crate) source: Option<Source>,
}

impl Driver {
    pub(crate) fn new(size: (u16, u16)) -> Self {
        Self::with(size, Preferences::default())
    }

    pub(crate) fn with(size: (u16, u16), preferences: Preferences) -> Self {
        Self {
            app: App::new("local shop".into(), Zone::Utc, size, preferences),
            outside: Outside::default(),
            size,
            now: Instant::now(),
            executor: Effects::default(),
            effects: Vec::new(),
            source: None,
        }
    }

    pub(crate) fn has_quit(&self) -> bool {
        self.executor.is_quitting
    }

    pub(crate) fn link(&mut self, link: Link) {
        self.update(Event::Link(link));
    }

    /// Delivers who the user is to the server.
    pub(crate) fn identify(&mut self, name: &str, role: Role) {
        self.update(Event::Identity(WhoAmI {
            name: name.into(),
            role,
            expires_at: None,
        }));
    }

    /// Delivers a change that somebody made.
    pub(crate) fn change(&mut self, change: &Value) {
        let change = serde_json::from_value(change.clone()).unwrap();
        self.update(Event::Change(Box::new(change)));
    }

    /// Advances the clock and runs whatever is due.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        if self.app.deadline().is_some_and(|at| at <= self.now) {
            self.update(Event::Tick);
        }
    }

    pub(crate) fn press(&mut self, code: KeyCode) {
        self.key(KeyEvent::new(code, KeyModifiers::NONE));
    }

    pub(crate) fn control(&mut self, c: char) {
        self.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
    }

    pub(crate) fn alt(&mut self, code: KeyCode) {
        self.key(KeyEvent::new(code, KeyModifiers::ALT));
    }

    pub(crate) fn mouse(&mut self, kind: MouseEventKind, (column, row): (u16, u16)) {
        let modifiers = KeyModifiers::NONE;
        self.terminal_event(TerminalEvent::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers,
        }));
    }

    pub(crate) fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.press(KeyCode::Char(c));
        }
    }

    /// The calls that are not answered yet.
    pub(crate) fn calls(&mut self) -> Vec<Call> {
        self.outside.pending.clone()
    }

    /// Answers the call whose path starts with `path`.
    #[track_caller]
    pub(crate) fn answer(&mut self, path: &str, body: &Value) -> Call {
        let index = self
            .outside
            .pending
            .iter()
            .position(|call| call.path.starts_with(path));
        let Some(index) = index else {
            panic!("no call to {path} among {:?}", self.outside.pending);
        };
        let call = self.outside.pending.remove(index);
        self.reply(&call, body);
        call
    }

    pub(crate) fn answer_last(&mut self, body: &Value) {
        let call = self.outside.pending.pop().unwrap();
        self.reply(&call, body);
    }

    /// Answers every call for names with an empty page, until no such call is left.
    pub(crate) fn settle(&mut self) {
        while let Some(index) = self
            .outside
            .pending
            .iter()
            .position(|call| call.path.contains("?id="))
        {
            let call = self.outside.pending.remove(index);
            self.reply(&call, &json!({"items": [], "next": null, "prev": null}));
        }
    }

    pub(crate) fn reply(&mut self, call: &Call, body: &Value) {
        let answer = Answer {
            body: body.to_string().into_bytes(),
            last: None,
            source: self.source,
        };
        self.finish(call, Ok(answer));
    }

    /// Delivers an event of the followed stream; returns the path of the stream.
    pub(crate) fn event(&mut self, body: &Value) -> String {
        let (ticket, path) = self.outside.followed.clone().expect("nothing is followed");
        let body = body.to_string().into_bytes();
        self.update(Event::Reply(Reply {
            ticket,
            took: Duration::from_secs(1),
            result: Ok(Answer {
                body,
                ..Answer::default()
            }),
        }));
        path
    }

    /// Fails the requested download.
    pub(crate) fn download_breaks(&mut self) {
        let (ticket, ..) = self
            .outside
            .download
            .take()
            .expect("nothing is to be written");
        let result = Err(Failure::NoAnswer("The connection broke.".into()));
        let took = Duration::from_secs(1);
        self.update(Event::Reply(Reply {
            ticket,
            took,
            result,
        }));
    }

    /// Completes the requested download; returns its path on the server and the file.
    pub(crate) fn downloaded(&mut self, bytes: i64) -> (String, String) {
        let (ticket, path, file) = self
            .outside
            .download
            .take()
            .expect("nothing is to be written");
        let written = json!({"file": file, "bytes": bytes});
        self.update(Event::Reply(Reply {
            ticket,
            took: Duration::from_secs(1),
            result: Ok(Answer {
                body: written.to_string().into_bytes(),
                ..Answer::default()
            }),
        }));
        (path, file)
    }

    /// Takes the requested upload and answers it with the job that it becomes; returns its path on the server.
    pub(crate) fn uploaded(&mut self, job: &Value) -> String {
        let (ticket, upload) = self.outside.upload.take().expect("nothing is to be sent");
        self.update(Event::Reply(Reply {
            ticket,
            took: Duration::from_secs(1),
            result: Ok(Answer {
                body: job.to_string().into_bytes(),
                ..Answer::default()
            }),
        }));
        upload.path
    }

    pub(crate) fn has_no_download(&self) -> bool {
        self.outside.download.is_none()
    }

    /// Whether the client follows the job events.
    pub(crate) fn follows_jobs(&self) -> bool {
        let followed = self.outside.followed.as_ref();
        followed.is_some_and(|(_, path)| path == "/v1/jobs/events")
    }

    /// Breaks the followed event stream.
    pub(crate) fn break_stream(&mut self) {
        let (ticket, _) = self.outside.followed.take().expect("nothing is followed");
        let result = Err(Failure::NoAnswer("The server closed the stream.".into()));
        let took = Duration::from_secs(1);
        self.update(Event::Reply(Reply {
            ticket,
            took,
            result,
        }));
    }

    /// Ends the editor with this outcome; returns the text that it was opened with.
    pub(crate) fn edits(&mut self, outcome: Result<String, String>) -> String {
        let text = self.outside.edited.take().expect("no editor was opened");
        self.update(Event::Edited(outcome));
        text
    }

    pub(crate) fn sends_a_file(&self) -> bool {
        self.outside.upload.is_some()
    }

    /// Refuses the last call with this problem.
    pub(crate) fn refuse(&mut self, problem: &Value) -> Call {
        let call = self.outside.pending.pop().unwrap();
        let problem = serde_json::from_value(problem.clone()).unwrap();
        self.finish(&call, Err(Failure::Refused(problem)));
        call
    }

    /// Ends the last call without a response.
    pub(crate) fn fail(&mut self) {
        let call = self.outside.pending.pop().unwrap();
        let reason = "The connection to the server broke.".to_owned();
        self.finish(&call, Err(Failure::NoAnswer(reason)));
    }

    /// Ends the calls whose paths start with `path` without a response.
    pub(crate) fn fail_those(&mut self, path: &str) {
        let calls = std::mem::take(&mut self.outside.pending);
        let (failing, others) = calls
            .into_iter()
            .partition(|call| call.path.starts_with(path));
        self.outside.pending = others;
        let failing: Vec<Call> = failing;
        assert!(!failing.is_empty(), "no call to {path}");
        for call in failing {
            self.finish(&call, Err(Failure::NoAnswer("It broke.".into())));
        }
    }

    pub(crate) fn screen(&self) -> String {
        let (columns, rows) = self.size;
        let buffer = self.buffer();
        let mut lines = Vec::new();
        for y in 0..rows {
            let mut line = String::new();
            let mut x = 0;
            while x < columns {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                // A wide character covers the next cell.
                x += (text::width(symbol) as u16).max(1);
            }
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }

    pub(crate) fn buffer(&self) -> Buffer {
        let (columns, rows) = self.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal
            .draw(|frame| frame::draw(frame, &self.app))
            .unwrap();
        terminal.backend().buffer().clone()
    }

    /// The style at the first occurrence of these words on the screen.
    #[track_caller]
    pub(crate) fn style_of(&self, words: &str) -> Style {
        let screen = self.screen();
        let found = screen.lines().enumerate().find_map(|(y, line)| {
            let before = &line[..line.find(words)?];
            Some((text::width(before) as u16, y as u16))
        });
        let Some((x, y)) = found else {
            panic!("no `{words}` on the screen:\n{screen}");
        };
        self.buffer()[(x, y)].style()
    }

    fn finish(&mut self, call: &Call, result: Result<Answer, Failure>) {
        self.update(Event::Reply(Reply {
            ticket: call.ticket,
            took: Duration::from_millis(7),
            result,
        }));
    }

    fn key(&mut self, key: KeyEvent) {
        self.terminal_event(TerminalEvent::Key(key));
    }

    fn terminal_event(&mut self, event: TerminalEvent) {
        if let Some(event) = translate(&self.app, event) {
            self.update(event);
        }
    }

    fn update(&mut self, event: Event) {
        self.app.update(event, self.now, &mut self.effects);
        for effect in self.effects.drain(..) {
            let executed = self.executor.execute(effect, &mut self.outside);
            let Ok(()) = executed.now_or_never().expect("nothing here waits");
        }
    }
}
