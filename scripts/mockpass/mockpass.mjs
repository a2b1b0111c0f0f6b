// MockPass, sgID's stand-in that nobody here wrote (npm @opengovsg/mockpass), for scripts/e2e. By itself it listens on
// every interface; here on loopback and a free port.
//
// Environment: MOCKPASS_NRIC, who signs in without being asked; SERVICE_PROVIDER_PUB_KEY, a file with the application's public key;
// FAPI_CLIENT_JWKS_ENDPOINT, where those of an application of FAPI are; COPY, a folder with another version of MockPass. It prints "mockpass URL".
import { pathToFileURL } from 'node:url';

const { default: mockpass } = await import(process.env.COPY ? pathToFileURL(`${process.env.COPY}/app.js`).href : '@opengovsg/mockpass/app.js');

const server = mockpass.app.listen(0, '127.0.0.1', () => console.log(`mockpass http://127.0.0.1:${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
