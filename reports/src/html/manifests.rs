//! The user's files, with how many hops each line decided.

use std::fmt::Write;

use super::model::Manifest;
use super::page::section;
use crate::escape::markup;

/// Lines that are shown of all files of one scenario.
const LINES_MAX: usize = 2000;

/// Each file with its gutter.
pub(super) fn render(out: &mut String, manifests: &[Manifest]) {
    if manifests.is_empty() {
        return;
    }
    let count = |of: fn(&Manifest) -> usize| manifests.iter().map(of).sum::<usize>();
    let (decided, never) = (count(|own| own.decided.len()), count(|own| own.never.len()));
    let lead = format!(
        "The number before a line is how many hops it decided, by its host, its route, its weight or its cluster; 0 stands before a line \
         that a proxy was given and that decided nothing. {decided} of {} such lines decided anything.",
        decided + never
    );
    section(out, "Manifests", &lead);
    let mut room = LINES_MAX;
    for manifest in manifests {
        let lines = manifest.text.lines().count();
        let hits: u64 = manifest.decided.iter().map(|(_, count)| count).sum();
        let open = if hits > 0 && lines <= 120 { " open" } else { "" };
        let said = if hits > 0 { "" } else { " <em>decided nothing</em>" };
        let _ = writeln!(
            out,
            "<details class=\"manifest\"{open}><summary><code>{}</code>{said}</summary>",
            markup(&manifest.file)
        );
        out.push_str("<pre>");
        for (at, line) in manifest.text.lines().take(room).enumerate() {
            let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            let count = manifest.decided.iter().find(|(own, _)| *own == number).map(|(_, count)| *count);
            let (class, shown) = match count {
                Some(count) => (" class=\"hit\"", count.to_string()),
                None if manifest.never.binary_search(&number).is_ok() => (" class=\"never\"", "0".to_owned()),
                None => ("", String::new()),
            };
            let _ = write!(out, "<span{class}><b>{shown}</b><i>{number}</i>{}\n</span>", markup(line));
        }
        if lines > room {
            let _ = write!(out, "<span><b></b><i></i>… {} more lines\n</span>", lines - room);
        }
        room = room.saturating_sub(lines);
        out.push_str("</pre></details>\n");
    }
    out.push_str("</section>\n");
}
