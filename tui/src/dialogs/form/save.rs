//! Saves a form: checks it, sends the request, and handles the reply.

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_common::{FieldError, Kind, Problem, document, seed};

use super::{Form, FormCall};
use crate::{
    messages::{
        call::{Call, Failure, Owner, Precondition, Reply},
        context::Context,
        request::{Confirm, Request},
    },
    model::{form_spec::Purpose, intent::OnComplete, text, undo::Undo},
};

impl Form {
    /// Handles a reply. False if it does not belong to this form.
    pub fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) -> bool {
        let Some((_, step)) = self.sending.take_if(|(run, _)| *run == reply.ticket.run) else {
            return false;
        };
        match (&reply.result, step) {
            (Ok(answer), FormCall::Save) => self.saved(answer.read().ok(), ctx),
            (Ok(answer), FormCall::Reread) => match answer.read() {
                Ok(row) => self.rebase(&row, ctx),
                Err(message) => self.message = Some(message),
            },
            (Err(failure), FormCall::Save) => self.not_saved(failure, ctx),
            (Err(failure), FormCall::Reread) => {
                self.message = Some(format!(
                    "{} Nothing was saved.",
                    text::sentence(failure.message())
                ));
            }
        }
        true
    }

    fn not_saved(&mut self, failure: &Failure, ctx: &mut Context<'_>) {
        match failure {
            Failure::Refused(problem) if problem.is(Kind::PreconditionFailed) => self.reread(ctx),
            Failure::Refused(problem) if problem.is(Kind::OutcomeUnknown) => {
                self.may_be_saved("The server does not know whether it was saved.", ctx);
            }
            Failure::Refused(problem) if is_in_use(problem) => self.ask_for_number(ctx),
            Failure::Refused(problem) if !problem.is(Kind::Unavailable) => self.refused(problem),
            Failure::Unreachable(_) | Failure::Refused(_) => {
                self.message = Some(format!(
                    "{} Nothing was saved.",
                    text::sentence(failure.message())
                ));
            }
            // The server completes a write even if the connection is lost before it answers.
            Failure::NoAnswer(reason) => self.may_be_saved(reason, ctx),
        }
    }

    fn may_be_saved(&mut self, why: &str, ctx: &mut Context<'_>) {
        let advice = "Check the list before you save again: it may have been saved.";
        self.message = Some(format!("{} {advice}", text::sentence(why)));
        ctx.request(Request::Expire);
    }

    fn refused(&mut self, problem: &Problem) {
        self.errors.clone_from(&problem.errors);
        let placed = |error: &FieldError| {
            let mut slots = self.slots.iter();
            slots.any(|slot| slot.pointer == error.pointer)
        };
        let is_placed = !problem.errors.is_empty() && problem.errors.iter().all(placed);
        self.message = (!is_placed).then(|| problem.detail.clone());
        self.focus_error();
    }

    pub(super) fn save(&mut self, ctx: &mut Context<'_>) {
        if self.is_sending() || self.has_open_conflict() {
            return;
        }
        self.message = None;
        self.errors.clear();
        self.drop_blank_lines();
        for slot in &mut self.slots {
            slot.is_touched = true;
        }
        let document = self.document();
        // A field with an error of its own is missing from the document, and the rules would report it a second time.
        // They are checked only if every field is valid by itself.
        let faulty = self
            .slots
            .iter()
            .any(|slot| slot.error(self.zone).is_some());
        if !faulty {
            self.errors = (self.check)(document.clone());
            // Errors for which the form has no field are shown as a message.
            let unplaced: Vec<String> = self
                .errors
                .iter()
                .filter(|error| self.slots.iter().all(|slot| slot.pointer != error.pointer))
                .map(ToString::to_string)
                .collect();
            self.message = unplaced.into_iter().next();
        }
        if faulty || !self.errors.is_empty() {
            return self.focus_error();
        }
        match self.purpose.clone() {
            Purpose::Filter => {
                let chips = self
                    .slots
                    .iter()
                    .filter_map(|slot| slot.chip(self.zone))
                    .collect();
                ctx.request(Request::Close);
                ctx.request(Request::FilterBy(chips));
            }
            Purpose::Create(tab) => self.post(format!("/v1/{}", tab.path()), document, ctx),
            Purpose::Seed => {
                self.post("/v1/seed-jobs?unless_in_use=true".into(), document, ctx);
            }
            Purpose::Edit { tab, id, version } => {
                let patch = document::difference(&self.initial, &document);
                if patch == json!({}) {
                    return ctx.request(Request::Close);
                }
                let path = format!("/v1/{}/{id}", tab.path());
                self.send(
                    Method::PATCH,
                    path,
                    Some(patch),
                    Precondition::Version(version),
                    FormCall::Save,
                    ctx,
                );
            }
        }
    }

    fn post(&mut self, path: String, document: Value, ctx: &mut Context<'_>) {
        let body = Some(document);
        self.send(
            Method::POST,
            path,
            body,
            Precondition::None,
            FormCall::Save,
            ctx,
        );
    }

    /// Asks for confirmation before adding test rows to a shop with real rows, because the two cannot be distinguished
    /// later. The user must type the number of test rows.
    fn ask_for_number(&self, ctx: &mut Context<'_>) {
        let document = self.document();
        let sizes = ["orders", "customers", "products", "categories"];
        let rows: i64 = sizes.iter().filter_map(|of| document[of].as_i64()).sum();
        ctx.confirm(Confirm {
            question: format!("Seed {} test rows into a shop in use?", text::integer(rows)),
            consequence: "People have added rows here. The test rows cannot be removed again."
                .into(),
            typed: Some(rows.to_string()),
            on_yes: Request::SeedAnyway,
        });
    }

    /// Sends the seed job again after the confirmation, without the check for real rows.
    pub fn seed_anyway(&mut self, ctx: &mut Context<'_>) {
        self.post("/v1/seed-jobs".into(), self.document(), ctx);
    }

    fn send(
        &mut self,
        method: Method,
        path: String,
        body: Option<Value>,
        precondition: Precondition,
        step: FormCall,
        ctx: &mut Context<'_>,
    ) {
        let owner = match step {
            FormCall::Save => Owner::Save,
            FormCall::Reread => Owner::Reread,
        };
        let ticket = ctx.ticket(owner);
        self.sending = Some((ticket.run, step));
        ctx.send(Call {
            body,
            precondition,
            ..Call::new(ticket, method, path)
        });
    }

    fn saved(&self, row: Option<Value>, ctx: &mut Context<'_>) {
        let (tab, verb) = match self.purpose {
            Purpose::Create(tab) => (tab, "Created"),
            Purpose::Edit { tab, .. } => (tab, "Saved"),
            Purpose::Seed => {
                ctx.request(Request::CloseForm);
                let job = row.and_then(|job| document::from_value(&job).ok());
                return match job {
                    Some(job) => {
                        ctx.info("Seeding in the background.");
                        ctx.request(Request::JobStarted(Box::new(job), OnComplete::Notify));
                    }
                    None => ctx.error("The server's answer cannot be read."),
                };
            }
            Purpose::Filter => return,
        };
        let label = row
            .as_ref()
            .and_then(|row| row["number"].as_str().or(row["name"].as_str()));
        let message = format!("{verb} {}.", text::clean(label.unwrap_or_default()));
        let undo = row.as_ref().and_then(|row| match self.purpose {
            Purpose::Create(tab) => Undo::of_creation(tab, row),
            _ => Undo::of_change(tab, row, &self.initial, &self.document()),
        });
        let is_new = matches!(self.purpose, Purpose::Create(_));
        let created = row.clone().filter(|_| is_new);
        ctx.request(Request::CloseForm);
        ctx.request(Request::Written {
            tab,
            row,
            message,
            undo,
        });
        if let Some(row) = created {
            ctx.request(Request::TakeCreated { tab, row });
        }
    }

    fn reread(&mut self, ctx: &mut Context<'_>) {
        if let Purpose::Edit { tab, id, .. } = self.purpose {
            let path = format!("/v1/{}/{id}", tab.path());
            self.send(
                Method::GET,
                path,
                None,
                Precondition::None,
                FormCall::Reread,
                ctx,
            );
        }
    }
}

/// Whether a seed job was refused because the shop contains real rows.
fn is_in_use(problem: &Problem) -> bool {
    problem
        .errors
        .iter()
        .any(|error| error.code == seed::IN_USE)
}
