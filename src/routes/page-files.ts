// The files of the chat page, and those of the client, by the paths under which browsers ask for them.
import client from "../client/client.ts" with { type: "text" };
import exchange from "../client/exchange.ts" with { type: "text" };
import actions from "../web/actions.js" with { type: "text" };
import address from "../web/address.js" with { type: "text" };
import agreement from "../web/agreement.js" with { type: "text" };
import allRooms from "../web/all-rooms.js" with { type: "text" };
import anchor from "../web/anchor.js" with { type: "text" };
import announcer from "../web/announcer.js" with { type: "text" };
import attention from "../web/attention.js" with { type: "text" };
import banner from "../web/banner.js" with { type: "text" };
import boundedField from "../web/bounded-field.js" with { type: "text" };
import calendar from "../web/calendar.js" with { type: "text" };
import chunk from "../web/chunk.js" with { type: "text" };
import composer from "../web/composer.js" with { type: "text" };
import connectionLine from "../web/connection-line.js" with { type: "text" };
import conversation from "../web/conversation.js" with { type: "text" };
import copying from "../web/copying.js" with { type: "text" };
import draft from "../web/draft.js" with { type: "text" };
import editor from "../web/editor.js" with { type: "text" };
import element from "../web/element.js" with { type: "text" };
import enterKey from "../web/enter-key.js" with { type: "text" };
import finder from "../web/finder.js" with { type: "text" };
import icon from "../web/icon.svg" with { type: "text" };
import later from "../web/later.js" with { type: "text" };
import lease from "../web/lease.js" with { type: "text" };
import lengthLine from "../web/length-line.js" with { type: "text" };
import textLength from "../web/length.js" with { type: "text" };
import manifest from "../web/manifest.webmanifest" with { type: "text" };
import maskable from "../web/maskable.svg" with { type: "text" };
import memory from "../web/memory.js" with { type: "text" };
import mentions from "../web/mentions.js" with { type: "text" };
import messageLog from "../web/message-log.js" with { type: "text" };
import messageRow from "../web/message-row.js" with { type: "text" };
import names from "../web/names.js" with { type: "text" };
import notifiable from "../web/notifiable.js" with { type: "text" };
import notifications from "../web/notifications.js" with { type: "text" };
import outbox from "../web/outbox.js" with { type: "text" };
import own from "../web/own.js" with { type: "text" };
import style from "../web/page.css" with { type: "text" };
import markup from "../web/page.html" with { type: "text" };
import page from "../web/page.js" with { type: "text" };
import patience from "../web/patience.js" with { type: "text" };
import phrase from "../web/phrase.js" with { type: "text" };
import polls from "../web/polls.js" with { type: "text" };
import prose from "../web/prose.js" with { type: "text" };
import quotes from "../web/quotes.js" with { type: "text" };
import reply from "../web/reply.js" with { type: "text" };
import roomName from "../web/room-name.js" with { type: "text" };
import rooms from "../web/rooms.js" with { type: "text" };
import scripts from "../web/scripts.js" with { type: "text" };
import scrollKeys from "../web/scroll-keys.js" with { type: "text" };
import search from "../web/search.js" with { type: "text" };
import session from "../web/session.js" with { type: "text" };
import sidebar from "../web/sidebar.js" with { type: "text" };
import status from "../web/status.js" with { type: "text" };
import step from "../web/step.js" with { type: "text" };
import timeline from "../web/timeline.js" with { type: "text" };
import touchIcon from "../web/touch-icon.base64" with { type: "text" };
import unread from "../web/unread.js" with { type: "text" };
import version from "../web/version.js" with { type: "text" };
import waiting from "../web/waiting.js" with { type: "text" };
import words from "../web/words.js" with { type: "text" };
import type { Sources } from "./joined.ts";

/** What the files say, as it is in the source tree; of a picture its bytes in base64, since Deno imports texts only. */
export const SOURCES: Sources = {
  "/": markup,
  "/client/client.mjs": client,
  "/client/client.ts": client,
  "/client/exchange.mjs": exchange,
  "/client/exchange.ts": exchange,
  "/web/actions.js": actions,
  "/web/address.js": address,
  "/web/agreement.js": agreement,
  "/web/all-rooms.js": allRooms,
  "/web/anchor.js": anchor,
  "/web/announcer.js": announcer,
  "/web/attention.js": attention,
  "/web/banner.js": banner,
  "/web/bounded-field.js": boundedField,
  "/web/calendar.js": calendar,
  "/web/chunk.js": chunk,
  "/web/composer.js": composer,
  "/web/connection-line.js": connectionLine,
  "/web/conversation.js": conversation,
  "/web/copying.js": copying,
  "/web/draft.js": draft,
  "/web/editor.js": editor,
  "/web/element.js": element,
  "/web/enter-key.js": enterKey,
  "/web/finder.js": finder,
  "/web/icon.svg": icon,
  "/web/later.js": later,
  "/web/lease.js": lease,
  "/web/length-line.js": lengthLine,
  "/web/length.js": textLength,
  "/web/manifest.webmanifest": manifest,
  "/web/maskable.svg": maskable,
  "/web/memory.js": memory,
  "/web/mentions.js": mentions,
  "/web/message-log.js": messageLog,
  "/web/message-row.js": messageRow,
  "/web/names.js": names,
  "/web/notifiable.js": notifiable,
  "/web/notifications.js": notifications,
  "/web/outbox.js": outbox,
  "/web/own.js": own,
  "/web/page.css": style,
  "/web/page.js": page,
  "/web/patience.js": patience,
  "/web/phrase.js": phrase,
  "/web/polls.js": polls,
  "/web/prose.js": prose,
  "/web/quotes.js": quotes,
  "/web/reply.js": reply,
  "/web/room-name.js": roomName,
  "/web/rooms.js": rooms,
  "/web/scripts.js": scripts,
  "/web/scroll-keys.js": scrollKeys,
  "/web/search.js": search,
  "/web/session.js": session,
  "/web/sidebar.js": sidebar,
  "/web/status.js": status,
  "/web/step.js": step,
  "/web/timeline.js": timeline,
  "/web/touch-icon.png": touchIcon,
  "/web/unread.js": unread,
  "/web/version.js": version,
  "/web/waiting.js": waiting,
  "/web/words.js": words,
};
