// The page ends with the sign-in that it shows, whichever tab signs out.
const live = new EventSource('/live');
live.onmessage = event => { document.getElementById('live').textContent = 'Still signed in at ' + event.data; };
live.addEventListener('end', () => { live.close(); location.replace('/'); });
live.onerror = () => { if (live.readyState === EventSource.CLOSED) location.replace('/'); }; // refused; otherwise the browser connects again
addEventListener('beforeunload', () => live.close()); // this tab is on its way already, such as to sign out
